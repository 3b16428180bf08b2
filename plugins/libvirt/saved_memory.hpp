// The saved memory of guests, in the vault. For VM desk:
//
//   memory/desk.save.new    being written by libvirt; whole when its header says so
//   memory/desk.save        whole, flushed, to be restored
//   memory/desk.save.json   how the guest's disk was when its memory was saved; there before desk.save is
//   memory/desk.save.used   restored: the guest may have run on since, so it is never restored again
//
// One rule keeps old memory from newer disks: while a guest is active its RAM is the truth, and before it runs on
// what was restored, the file has another name, durably. Nothing here is touched unless the vault is mounted. Holds no
// state; thread-safe for different VMs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "plugins/libvirt/layout.hpp"
#include "reconciler/base/result.hpp"

namespace safe::libvirt {

struct SavedFiles {
    bool incoming = false;  // desk.save.new
    bool saved = false;     // desk.save
    bool used = false;      // desk.save.used
};

class SavedMemory {
 public:
    explicit SavedMemory(Layout layout) : layout_(std::move(layout)) {}

    /// Whether the spec has a vault at all.
    [[nodiscard]] bool possible() const { return !layout_.keep().memory.empty(); }
    [[nodiscard]] base::Result<bool> mounted() const { return is_there(); }

    /// Only while mounted.
    [[nodiscard]] base::Result<SavedFiles> look(const std::string& vm) const;

    [[nodiscard]] std::filesystem::path incoming(const std::string& vm) const { return file(vm, ".save.new"); }
    [[nodiscard]] std::filesystem::path saved(const std::string& vm) const { return file(vm, ".save"); }

    /// Makes the directory (0700). An Error when the vault is not mounted: what would be written would lie in clear.
    [[nodiscard]] base::Result<void> make_ready() const;

    /// Before the memory of a guest is saved that is active: what lies here of it is older, and goes.
    [[nodiscard]] base::Result<void> clear_for(const std::string& vm) const;

    /// Flushes what libvirt has written, notes how the disk is now, and gives it its name. `disk` is empty for a VM
    /// without one. Refused when the disk was written to after the memory was.
    [[nodiscard]] base::Result<void> keep(const std::string& vm, const std::filesystem::path& disk) const;

    /// An Error when the disk is not as it was when the memory was saved.
    [[nodiscard]] base::Result<void> check_disk(const std::string& vm, const std::filesystem::path& disk) const;

    /// Renames the saved file, durably: from now on it is never restored. Without one, nothing.
    [[nodiscard]] base::Result<void> spend(const std::string& vm) const;

    /// Removes everything that lies here of the VM, durably.
    [[nodiscard]] base::Result<void> forget(const std::string& vm) const;

    /// The same for a VM that is awake, whose memory is spent. That much need not reach the disk at once, and does not
    /// keep people waiting: what a power cut brings back is never restored.
    [[nodiscard]] base::Result<void> forget_spent(const std::string& vm) const;

    /// An Error when the vault could not take the memory of all workspace VMs; what is saved already counts as free,
    /// because it goes when its guest wakes.
    [[nodiscard]] base::Result<void> check_space() const;

 private:
    [[nodiscard]] base::Result<bool> is_there() const;
    [[nodiscard]] std::filesystem::path file(const std::string& vm, std::string_view extension) const {
        return layout_.keep().memory / (vm + std::string(extension));
    }
    [[nodiscard]] base::Result<void> remove(const std::string& vm, std::initializer_list<const char*> extensions) const;
    /// Whether any was there.
    [[nodiscard]] base::Result<bool> unlink_all(const std::string& vm,
                                                std::initializer_list<const char*> extensions) const;
    [[nodiscard]] base::Result<void> flush_directory() const;

    Layout layout_;
};

}  // namespace safe::libvirt
