// The driver itself; nfs_driver.hpp hands it out. See there.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/nfs/nfs_api.hpp"
#include "plugins/nfs/served_address.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::nfs {

// Keys of attributes.
inline constexpr std::string_view clients_key = "clients";
inline constexpr std::string_view server_key = "server";
inline constexpr std::string_view held_key = "still-held";

/// Those options of a listed export that are ours to say, in one order.
[[nodiscard]] std::string owned(const std::set<std::string>& listed);
/// "NFS 4.2 on 10.77.0.1:2049"; with helpers, also which of them do not run.
[[nodiscard]] std::string text_of(const Server& server, bool with_helpers);

class ExportDriver final : public driver::Driver {
 public:
    ExportDriver(const driver::Setting& setting, std::shared_ptr<Api> api);

    [[nodiscard]] std::span<const model::Kind> kinds() const override;
    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode mode) const override;
    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& context) override;
    [[nodiscard]] model::Assessment classify(model::Action action, const model::Resource& resource,
                                             const model::Observation& observed,
                                             std::span<const model::Change> changes) const override;
    [[nodiscard]] model::Presence orphan(const model::ResourceId& id, const model::Present& observed,
                                         model::Mode mode) const override;
    [[nodiscard]] base::Result<void> apply(const model::Step& step, const model::Resource& resource,
                                           const model::Observation& observed, const driver::Context& context) override;

 private:
    /// What one look found; shared by the observations of all volumes.
    struct Look {
        Tables tables;
        Server server;
        std::string served_at = {};  // the address that ServedAddress keeps
    };

    [[nodiscard]] std::vector<model::ResourceId> needs_of(const std::string& volume) const;
    [[nodiscard]] model::Attributes wanted(const specs::SafeSpec& spec, const specs::VolumeSpec& volume) const;
    [[nodiscard]] std::string server_wanted() const;
    /// It serves just that, whoever started it.
    [[nodiscard]] bool is_as_wanted(const Server& server) const;
    [[nodiscard]] std::string named(const std::string& client) const;
    [[nodiscard]] std::string named_clients(const model::Attributes& attributes) const;

    base::Result<Look> look();
    /// As ours would be, or as ours was when it began to serve. Besides, somebody else may listen at our port.
    [[nodiscard]] bool is_ours(const Look& seen) const;
    /// Ours, and it serves nobody: not another's exports either.
    [[nodiscard]] bool is_idle(const Look& seen) const;
    model::Observation observation(const std::string& volume, const Look& seen);
    [[nodiscard]] std::vector<Export> of_volume(const std::string& volume, const std::vector<Export>& all) const;
    [[nodiscard]] std::string key_of(const std::string& volume, const Export& one) const;
    void warn_of_ways_in(const Tables& tables, model::Snapshot& snapshot) const;
    void warn_of_buffers(const Look& seen, model::Snapshot& snapshot) const;

    base::Result<void> serve();
    base::Result<void> leave_former_address(const Look& seen);
    base::Result<void> rest(const driver::Context& context);
    base::Result<void> give(const std::string& volume, const model::Attributes& wanted, const driver::Context& context);
    base::Result<void> wait_for_flush(const driver::Context& context);
    base::Result<void> take(const std::string& volume, const model::Branch* kept, const driver::Context& context);
    base::Result<std::vector<Export>> left(const std::string& volume, const model::Branch* kept, bool granted);
    base::Result<std::vector<Holder>> holding(const std::string& volume, const model::Branch* kept);

    driver::Places places_;
    std::string address_;                          // empty: the spec has no network
    std::map<std::string, std::string> vm_names_;  // by address
    std::shared_ptr<Api> api_;
    ServedAddress served_address_;
    std::mutex applying_;  // starting the server is no matter for two at once
};

}  // namespace safe::nfs
