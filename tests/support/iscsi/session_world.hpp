// A safe's volumes on iSCSI with everything around them: what the tests of the driver, on fakes and on the real
// initiator alike, are written in.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plugins/iscsi/iscsi_driver.hpp"
#include "reconciler/planning/difference.hpp"
#include "tests/support/iscsi/sample_volumes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::iscsi::test {

inline model::Step step_on(const model::ResourceId& id, model::Action action) {
    model::Step step;
    step.resource = id;
    step.action = action;
    step.verb = "do";
    return step;
}

class SessionWorld {
 public:
    explicit SessionWorld(const Endpoint& endpoint) : spec(sample_spec(endpoint)) {}

    [[nodiscard]] driver::Places places() const {
        return {"atlas", root() / "state" / "atlas", root() / "run", root() / "srv"};
    }
    [[nodiscard]] std::filesystem::path root() const { return directory_.path(); }
    [[nodiscard]] std::filesystem::path link(const std::string& volume) const { return places().device_link(volume); }
    [[nodiscard]] std::filesystem::path record(const std::string& volume) const {
        return places().state_dir() / "storage" / (volume + ".json");
    }

    /// `driver` was made with setting(). Forgotten, like a program that ended.
    void use(std::vector<std::unique_ptr<driver::Driver>> drivers) { driver_ = std::move(drivers.front()); }
    [[nodiscard]] driver::Setting setting() const { return {spec, places(), keys_}; }
    [[nodiscard]] driver::Driver& driver() const { return *driver_; }

    [[nodiscard]] model::Snapshot look() const {
        driver::Scope scope;
        for (const model::Resource& resource : driver_->desire(spec, model::Mode::open).resources)
            scope.ids.push_back(resource.id);
        return driver_->observe(scope, {});
    }
    [[nodiscard]] model::Observation see(const std::string& name) const {
        return driver_->observe({{model::make_id(model::Kind::session, name)}, false}, {}).observations.begin()->second;
    }
    [[nodiscard]] bool absent(const std::string& name) const {
        return std::holds_alternative<model::Absent>(see(name));
    }
    /// Present, and as the open safe wants it.
    [[nodiscard]] bool attached(const std::string& name) const {
        const auto seen = see(name);
        const auto* present = std::get_if<model::Present>(&seen);
        return present != nullptr && present->attributes == wanted(name, model::Mode::open).attributes;
    }
    [[nodiscard]] model::Resource wanted(const std::string& name, model::Mode mode) const {
        for (model::Resource& resource : driver_->desire(spec, mode).resources)
            if (resource.id.name() == name) return resource;
        return {.id = model::make_id(model::Kind::session, name)};
    }

    [[nodiscard]] base::Result<void> detach(const std::string& name) const {
        const model::Resource resource{.id = model::make_id(model::Kind::session, name)};
        return driver_->apply(step_on(resource.id, model::Action::remove), resource, {}, {});
    }

    /// What a plan for this mode would do and an apply does, in a world without other drivers; the first error ends it.
    base::Result<int> converge(model::Mode mode) const {
        int steps = 0;
        for (const auto& [id, seen] : look().observations) {
            // Each step is looked at again just before it, as the executor does.
            const model::Observation now = see(id.name());
            model::Resource resource = wanted(id.name(), mode);
            const auto* present = std::get_if<model::Present>(&now);
            const bool declared = spec.volume(id.name()) != nullptr;
            if (!declared && present != nullptr) resource.presence = driver_->orphan(id, *present, mode);
            if (!declared && resource.presence == model::Presence::present) continue;
            model::Step step = step_on(id, model::Action::add);
            if (resource.presence == model::Presence::absent) {
                if (present == nullptr) continue;
                step.action = model::Action::remove;
            } else if (present != nullptr) {
                if (present->attributes == resource.attributes) continue;
                step.action = model::Action::change;
            }
            ++steps;
            const auto done = driver_->apply(step, resource, now, {});
            if (!done) return base::fail(done.error());
        }
        return steps;
    }

 private:
    safe::testing::TemporaryDirectory directory_;
    driver::KeyRing keys_;
    std::unique_ptr<driver::Driver> driver_;

 public:
    specs::SafeSpec spec;
};

/// A secret in a file as the spec wants it.
inline std::string secret_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path.string();
}

}  // namespace safe::iscsi::test
