// Files: what must be private is private, and nothing secret lies outside the vault: keys, saved memory of guests,
// disks of workspace VMs, and files below a mount point on which nothing is mounted.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;

constexpr int deepest = 6;  // below our own folders nothing lies deeper

class FileJudge {
 public:
    FileJudge(const Scene& scene, Lines& lines) : scene_(scene), lines_(lines) {}

    void judge_records() {
        const fs::path records = scene_.places.headers("x").parent_path();
        const std::size_t before = faults_;
        std::size_t count = 0;
        walk(records, deepest, [&](const fs::path& path, const FileFacts& facts) {
            ++count;
            if (facts.owner != 0) fault(path, "it does not belong to root", "look who made it; chown root");
            if (facts.type == FileFacts::Type::file && (facts.mode & 077U) != 0)
                fault(path, fmt::format("its mode {:04o} lets others than root in", facts.mode), "chmod 0600");
        });
        if (faults_ == before)
            lines_.ok(records.string(), fmt::format("{} records and copies of headers, root's alone", count));
    }

    void judge_secrets() {
        for (const specs::VolumeSpec& volume : scene_.spec.volumes)
            if (volume.iscsi && volume.iscsi->chap) judge_secret(*volume.iscsi->chap->secret);
        if (scene_.spec.directory && scene_.spec.directory->bind) judge_secret(*scene_.spec.directory->bind->password);
    }

    void judge_strays() {
        const std::size_t before = faults_;
        const std::array<fs::path, 3> folders{scene_.places.state_dir(), scene_.places.run_dir(),
                                              fs::path("/etc/safe") / scene_.places.safe()};
        for (const fs::path& folder : folders)
            walk(folder, deepest, [&](const fs::path& path, const FileFacts& facts) {
                if (facts.type != FileFacts::Type::file) return;
                if (is_volume_key(path)) fault(path, "a key of a volume outside the vault", shred(path));
                if (path.extension() == ".save") fault(path, "saved memory of a guest outside the vault", shred(path));
            });
        walk("/var/lib/libvirt/qemu/save", 1, [&](const fs::path& path, const FileFacts&) {
            if (path.filename().string().starts_with(scene_.places.safe() + "-"))
                fault(path, "saved memory of a guest outside the vault", shred(path));
        });
        if (faults_ == before)
            lines_.ok(fmt::format("{}, {}, {}", folders[0].string(), folders[1].string(), folders[2].string()),
                      "no key and no saved memory outside the vault");
    }

    /// Disks of workspace VMs belong on a volume, once there is one.
    void judge_disks() {
        if (scene_.spec.vault() == nullptr) return;
        for (const specs::VmSpec& vm : scene_.spec.vms) {
            if (*vm.role != specs::Role::workspace) continue;
            const fs::path disk = scene_.places.state_dir() / "disks" / (vm.name + ".qcow2");
            const Seen<FileFacts> facts = scene_.system.status(disk);
            if (!facts)
                lines_.unknown(disk.string(), facts.error());
            else if (facts.there())
                fault(disk, fmt::format("a disk of {} in the clear on the host", vm.name),
                      "move what is needed into the vault; " + shred(disk));
            judge_seeds(vm.name);
        }
    }

    /// What cloud-init is told may hold secrets, too.
    void judge_seeds(const std::string& vm) {
        const fs::path seeds = scene_.places.state_dir() / "disks" / (vm + ".seed");
        walk(seeds, deepest, [&](const fs::path& path, const FileFacts& facts) {
            if (facts.type != FileFacts::Type::directory)
                fault(path, fmt::format("cloud-init data of {} in the clear on the host", vm), shred(path));
        });
    }

    /// What was written there while nothing was mounted lies on the host's own disk.
    void judge_mount_points() {
        const fs::path root = scene_.places.mount_root();
        const std::size_t before = faults_;
        walk(root, deepest, [&](const fs::path& path, const FileFacts& facts) {
            if (mounted(path)) return;
            if (facts.type != FileFacts::Type::directory)
                fault(path,
                      "a file below a mount point with nothing mounted on it: in the clear on the host's own disk",
                      "move it into the volume; " + shred(path));
        });
        if (faults_ == before) lines_.ok(root.string(), "no files below mount points with nothing mounted on them");
    }

 private:
    void fault(const fs::path& path, std::string found, std::string advice) {
        ++faults_;
        lines_.fault(path.string(), std::move(found), std::move(advice));
    }

    static std::string shred(const fs::path& path) { return "destroy it: shred -u " + path.string(); }

    [[nodiscard]] bool is_volume_key(const fs::path& path) const {
        return path.extension() == ".key" && scene_.spec.volume(path.stem().string()) != nullptr;
    }

    /// On, or below, something mounted in our own namespace.
    [[nodiscard]] bool mounted(const fs::path& path) const {
        if (!scene_.mounts) return false;
        const std::string root = scene_.places.mount_root().string();
        return std::ranges::any_of(scene_.mounts->namespaces, [&](const MountNamespace& space) {
            return space.ours && std::ranges::any_of(space.mounts, [&](const Mount& mount) {
                       return is_below(mount.point, root) && !mount.binds_on_itself(root) &&
                              is_below(path.string(), mount.point);
                   });
        });
    }

    void judge_secret(const specs::SecretRef& secret) {
        if (secret.kind != specs::SecretRef::Kind::file) return;  // systemd sees to its own
        if (std::ranges::find(judged_, secret.name) != judged_.end()) return;
        judged_.push_back(secret.name);
        const Seen<FileFacts> facts = scene_.system.link_status(secret.name);
        if (!facts) return lines_.unknown(secret.name, facts.error());
        if (!facts.there()) return fault(secret.name, "it is not there", "make it, owner root and mode 0600");
        if (facts.value().type != FileFacts::Type::file || facts.value().owner != 0 || (facts.value().mode & 077U) != 0)
            return fault(secret.name, "it is not a file of root's alone", "chown root, chmod 0600");
        lines_.ok(secret.name, "a secret, root's alone");
    }

    template <class Visit>
    void walk(const fs::path& folder, int depth, const Visit& visit) {
        const Seen<std::vector<std::string>> names = scene_.system.list(folder);
        if (!names) return lines_.unknown(folder.string(), names.error());
        for (const std::string& name : names.value_or(std::vector<std::string>())) {
            const fs::path path = folder / name;
            const Seen<FileFacts> facts = scene_.system.link_status(path);
            if (!facts) lines_.unknown(path.string(), facts.error());
            if (!facts.there()) continue;
            visit(path, facts.value());
            // Not into what is mounted: dead storage would hold us, and what is inside is not judged here.
            if (facts.value().type == FileFacts::Type::directory && depth > 1 && !mounted(path))
                walk(path, depth - 1, visit);
        }
    }

    const Scene& scene_;
    Lines& lines_;
    std::size_t faults_ = 0;
    std::vector<std::string> judged_;
};

}  // namespace

std::vector<Finding> check_files(const Scene& scene) {
    Lines lines("files");
    FileJudge judge(scene, lines);
    judge.judge_records();
    judge.judge_secrets();
    judge.judge_strays();
    judge.judge_disks();
    judge.judge_mount_points();
    return lines.take();
}

}  // namespace safe::verify
