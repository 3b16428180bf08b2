// The five drivers that libvirt_driver.hpp puts together, one a kind, and the few words they share. Each owns a part of
// the shared connection and is thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "plugins/libvirt/layout.hpp"
#include "plugins/libvirt/libvirt_api.hpp"
#include "reconciler/driver/driver.hpp"

namespace safe::libvirt {

using SharedApi = std::shared_ptr<Api>;

[[nodiscard]] std::unique_ptr<driver::Driver> make_network_driver(SharedApi api, Layout layout);
[[nodiscard]] std::unique_ptr<driver::Driver> make_image_driver(Layout layout);
[[nodiscard]] std::unique_ptr<driver::Driver> make_disk_driver(SharedApi api, Layout layout);
[[nodiscard]] std::unique_ptr<driver::Driver> make_vm_driver(SharedApi api, Layout layout, std::string uri);
[[nodiscard]] std::unique_ptr<driver::Driver> make_power_driver(const SharedApi& api, Layout layout,
                                                                specs::Suspend suspend,
                                                                std::chrono::milliseconds grace);

/// The attributes of a VM's definition and of what runs, as the spec wants them: see domain_xml.hpp.
[[nodiscard]] model::Attributes wanted_hardware(const specs::SafeSpec& spec, const specs::VmSpec& vm,
                                                const Layout& layout);

/// The format of an image by the ending of its name; nullopt when the name does not tell. A file is never asked.
[[nodiscard]] std::optional<std::string_view> image_format(std::string_view file_name);

/// The text at `key`; empty when there is none.
[[nodiscard]] inline std::string text_of(const model::Branch& branch, std::string_view key) {
    const std::string* text = model::get<std::string>(branch, key);
    return text != nullptr ? *text : std::string();
}

[[nodiscard]] inline model::Refusal refusal(const std::string& part, const specs::Position& at, std::string cause,
                                            std::string advice) {
    return {.subject = part + " (" + to_text(at) + ")",
            .error = {.attempt = "handle",
                      .object = part,
                      .cause = std::move(cause),
                      .advice = std::move(advice),
                      .kind = base::Error::Kind::refused}};
}

/// An Unknown for every id asked for, when nothing at all could be looked at.
[[nodiscard]] inline model::Snapshot blind(const driver::Scope& scope, const base::Error& error) {
    model::Snapshot snapshot{.enumeration_failed = error};
    for (const model::ResourceId& id : scope.ids) snapshot.observations.emplace(id, model::Unknown{error});
    return snapshot;
}

/// The same error, said of `id` when libvirt named nothing.
[[nodiscard]] inline base::Error about(base::Error error, const model::ResourceId& id) {
    if (error.object.empty()) error.object = to_text(id);
    return error;
}

}  // namespace safe::libvirt
