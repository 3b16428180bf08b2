// Brings guests up and down. Every call looks first and does what is missing, so that it may be repeated, or follow one
// that was killed. Suspending marks the guest as paused by us after it is paused, and waking unmarks it before it runs:
// cut short anywhere, a guest is never taken for asleep while it runs. Sleep in the vault is deep_sleep.hpp's. Holds no
// state, thread-safe.
#pragma once

#include <chrono>
#include <memory>

#include "plugins/libvirt/deep_sleep.hpp"
#include "plugins/libvirt/domain_finder.hpp"
#include "plugins/libvirt/seed_store.hpp"

namespace safe::libvirt {

/// How what runs can become what is wanted.
enum class Way {
    nothing,  // it is, or only has to be woken
    adjust,   // while it runs
    restart,
};
/// Both as attributes of power. Memory can be given and taken up to the maximum that the guest was started with, CPUs
/// only given: a guest need not let go of one. Pure.
[[nodiscard]] Way way_to(const model::Attributes& live, const model::Attributes& wanted);
/// What a running guest can become of what is wanted without a restart. Pure.
[[nodiscard]] model::Attributes within_reach(const model::Attributes& live, const model::Attributes& wanted);
/// What a guest that runs as it was saved counts as: as it is where it can be adjusted, and as wanted where that waits
/// for its restart. Pure.
[[nodiscard]] model::Attributes until_its_restart(const model::Attributes& live, const model::Attributes& wanted);

class PowerSwitch {
 public:
    PowerSwitch(const SharedApi& api, const Layout& layout, std::chrono::milliseconds grace)
        : api_(api), layout_(layout), finder_(api, layout), deep_(api, layout), seeds_(layout), grace_(grace) {}

    /// Starts, wakes, adjusts or restarts the guest until it runs as `resource` says.
    [[nodiscard]] base::Result<void> bring_up(const model::Resource& resource, const driver::Context& context) const;

    /// Asks the guest to shut down, and cuts its power when the grace period is over.
    [[nodiscard]] base::Result<void> shut_off(const model::ResourceId& id, const driver::Context& context) const;

    /// In RAM: pauses the guest and marks it as paused by us. On disk: saves it in the vault; it is off afterwards.
    /// What was begun on disk is ended there. A guest that is not asleep when the context's patience is over has its
    /// power cut, and is marked as one that lost its memory.
    [[nodiscard]] base::Result<void> suspend(const model::ResourceId& id, specs::Suspend how,
                                             const driver::Context& context) const;

 private:
    /// nullptr when there is no such machine of ours; an Error also when another bears its name.
    [[nodiscard]] base::Result<std::unique_ptr<Found>> look(const model::ResourceId& id) const;
    [[nodiscard]] base::Result<void> start(const Found& found) const;
    [[nodiscard]] base::Result<void> put_to_sleep(const model::ResourceId& id, specs::Suspend how,
                                                  const driver::Context& context) const;
    [[nodiscard]] base::Result<void> suspend_in_ram(const Found& found) const;
    [[nodiscard]] base::Result<void> cut_off(const Found& found, const std::string& cause,
                                             const driver::Context& context) const;
    [[nodiscard]] base::Result<void> finish_waking(const model::Resource& resource,
                                                   const driver::Context& context) const;
    [[nodiscard]] base::Result<void> wake(const Found& found) const;
    [[nodiscard]] base::Result<void> adjust(const Found& found, const model::Resource& resource,
                                            const driver::Context& context) const;
    [[nodiscard]] base::Result<void> give_memory(const Found& found, const model::ResourceId& id, model::Bytes memory,
                                                 const driver::Context& context) const;
    [[nodiscard]] base::Result<bool> wait_until_off(const model::ResourceId& id, const driver::Context& context) const;

    SharedApi api_;
    Layout layout_;
    DomainFinder finder_;
    DeepSleep deep_;
    SeedStore seeds_;
    std::chrono::milliseconds grace_;
};

}  // namespace safe::libvirt
