// Puts guests to sleep in the vault and wakes them from there: `suspend: disk`. Every call looks first and does what is
// missing, so that it may be repeated, or follow one that was killed. The order that makes this safe:
//
//   to sleep: pause; mark, live and in the definition; save to desk.save.new (the guest is off now); flush; rename it
//   to desk.save
//
//   to wake: restore, paused; rename desk.save to desk.save.used, flushed; unmark; resume; remove desk.save.used
//
// The mark travels inside the saved state, so what is restored and not resumed yet is told from a guest that somebody
// paused. Holds no state, thread-safe.
#pragma once

#include "plugins/libvirt/domain_finder.hpp"
#include "plugins/libvirt/saved_memory.hpp"

namespace safe::libvirt {

/// What lies in the vault for a machine that is off, and what that means for starting it.
enum class Sleep {
    none,       // nothing was saved: it boots
    saved,      // its memory is there
    cold,       // its memory was there and was used: it ran when the power was cut, and boots anew
    lost,       // its definition says that it was saved, and there is nothing whole
    unclaimed,  // there is memory of which its definition knows nothing
};
/// Pure. `marked`: its definition says that it sleeps on disk.
[[nodiscard]] Sleep sleep_of(const SavedFiles& files, bool incoming_is_whole, bool marked);

class DeepSleep {
 public:
    DeepSleep(SharedApi api, const Layout& layout)
        : api_(std::move(api)), layout_(layout), finder_(api_, layout), memory_(layout) {}

    /// Whether the spec has a place to sleep in.
    [[nodiscard]] bool possible() const { return memory_.possible(); }

    /// Saves an active guest. Afterwards it is off. Broken off when the context's patience is over.
    [[nodiscard]] base::Result<void> put_to_sleep(const Found& found, const driver::Context& context) const;

    /// Brings a machine that is off to where finish_waking() takes over, if there is memory of it: then true. False:
    /// there is none, and it may boot. An Error when a person must decide.
    [[nodiscard]] base::Result<bool> restore(const Found& found, const driver::Context& context) const;

    /// For an active guest with the mark: makes sure that what it was restored from is never used again, and lets it
    /// run. `differs`: the spec has changed since it was saved, which waits for its next restart.
    [[nodiscard]] base::Result<void> finish_waking(const Found& found, bool differs) const;

    /// Whether the memory of this active guest lies in the vault as whole as before it was restored: it has not run
    /// since. False, too, when that cannot be told.
    [[nodiscard]] bool is_still_saved(const Found& found) const;

    /// For a guest that is about to lose its memory: what was saved of it before is never restored, and then removed.
    /// Without the vault, nothing.
    [[nodiscard]] base::Result<void> spend(const Found& found) const;
    [[nodiscard]] base::Result<void> forget(const Found& found) const;

    /// Gives up what is saved of a machine that is off, so that it boots next time. Idempotent; nothing of an active
    /// guest is touched.
    [[nodiscard]] base::Result<void> discard(const Found& found) const;

    /// What there is of a machine that is off; a fact for people. `none` while the vault is not mounted.
    [[nodiscard]] base::Result<Sleep> look(const Found& found) const;

 private:
    [[nodiscard]] base::Result<void> save(const Found& found, const driver::Context& context) const;
    [[nodiscard]] base::Result<void> restore_saved(const Found& found) const;
    [[nodiscard]] base::Result<Sleep> judge(const std::string& vm, bool marked) const;
    [[nodiscard]] base::Result<void> check_ours(const Found& found) const;
    [[nodiscard]] std::filesystem::path disk_of(const Found& found) const;
    [[nodiscard]] base::Result<void> unmark(const Found& found) const;
    [[nodiscard]] base::Result<bool> is_active(const Found& found) const;

    SharedApi api_;
    Layout layout_;
    DomainFinder finder_;
    SavedMemory memory_;
};

/// The words for a machine that cannot be woken, with the way out.
[[nodiscard]] base::Error cannot_wake(const std::string& vm, std::string cause);

}  // namespace safe::libvirt
