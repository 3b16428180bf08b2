// The driver itself; nfs_driver.hpp hands it out. See there.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/nfs/nfs_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::nfs {

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
    };

    [[nodiscard]] std::vector<model::ResourceId> needs_of(const std::string& volume) const;
    [[nodiscard]] model::Attributes wanted(const specs::SafeSpec& spec, const specs::VolumeSpec& volume) const;
    [[nodiscard]] std::string server_wanted() const;
    [[nodiscard]] std::string named(const std::string& client) const;
    [[nodiscard]] std::string named_clients(const model::Attributes& attributes) const;

    base::Result<Look> look();
    model::Observation observation(const std::string& volume, const Look& seen);
    [[nodiscard]] std::vector<Export> of_volume(const std::string& volume, const std::vector<Export>& all) const;
    [[nodiscard]] std::string key_of(const std::string& volume, const Export& one) const;
    void warn_of_ways_in(const Tables& tables, model::Snapshot& snapshot) const;

    base::Result<void> serve();
    base::Result<void> give(const std::string& volume, const model::Attributes& wanted);
    base::Result<void> take(const std::string& volume, const model::Branch* kept);
    base::Result<void> let_go(const std::string& volume, const model::Branch* kept);

    driver::Places places_;
    std::string address_;                          // empty: the spec has no network
    std::map<std::string, std::string> vm_names_;  // by address
    std::shared_ptr<Api> api_;
    std::mutex applying_;  // starting the server is no matter for two at once
};

}  // namespace safe::nfs
