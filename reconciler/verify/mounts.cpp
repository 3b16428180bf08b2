#include "reconciler/verify/mounts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;

constexpr std::string_view prefix = "mnt:[";

std::optional<Mount> parse_line(std::string_view line) {
    constexpr std::size_t fixed = 6;  // before the optional fields
    const std::vector<std::string_view> words = words_of(line);
    const auto separator = std::ranges::find(words, "-");
    if (words.size() < fixed || separator - words.begin() < std::ptrdiff_t{fixed} || words.end() - separator < 4)
        return std::nullopt;
    const auto device = parse_device_number(words[2]);
    if (!device) return std::nullopt;
    return Mount{.device = *device,
                 .root = without_escapes(words[3]),
                 .point = without_escapes(words[4]),
                 .type = std::string(separator[1]),
                 .source = without_escapes(separator[2]),
                 .options = fmt::format("{},{}", words[5], separator[3])};
}

/// Gathers namespaces by their ids.
class MountSearch {
 public:
    MountSearch(const System& system, const std::vector<Process>& processes) : system_(system), processes_(processes) {}

    Result<Mounts> run() {
        const Seen<std::string> own = system_.link("/proc/self/ns/mnt");
        if (!own) return base::fail(own.error());
        for (const Process& process : processes_) {
            if (const Result<void> looked = look_at_threads(process); !looked) mounts_.unseen.push_back(looked.error());
            look_at_descriptors(process);
        }
        for (auto& [id, found] : found_) read(id, found);
        look_at_kept();
        for (MountNamespace& one : mounts_.namespaces) one.ours = own.there() && one.id == own.value();
        return std::move(mounts_);
    }

 private:
    struct Found {
        std::vector<Process> members;
        std::vector<fs::path> ways;  // folders of threads that are in it
    };

    Result<void> look_at_threads(const Process& process) {
        const fs::path tasks = folder_of(process) / "task";
        const Seen<std::vector<std::string>> threads = system_.list(tasks);
        if (!threads) return base::fail(threads.error());
        for (const std::string& thread : threads.value_or(std::vector<std::string>())) {
            const Seen<std::string> id = system_.link(tasks / thread / "ns/mnt");
            if (!id) return base::fail(id.error());
            if (!id.there()) continue;  // it has ended, or is a zombie without a namespace
            Found& found = found_[id.value()];
            found.ways.push_back(tasks / thread);
            if (found.members.empty() || found.members.back().id != process.id) found.members.push_back(process);
        }
        return {};
    }

    /// A descriptor of a namespace keeps it alive without anybody in it.
    void look_at_descriptors(const Process& process) {
        const fs::path folder = folder_of(process) / "fd";
        const Seen<std::vector<std::string>> descriptors = system_.list(folder);
        if (!descriptors) return mounts_.unseen.push_back(descriptors.error());
        for (const std::string& descriptor : descriptors.value_or(std::vector<std::string>())) {
            const Seen<std::string> target = system_.link(folder / descriptor);
            if (target.there() && target.value().starts_with(prefix))
                kept_.emplace(target.value(), folder / descriptor);
        }
    }

    void read(const std::string& id, const Found& found) {
        Error last{.attempt = "look at", .object = id, .cause = "everything in it has ended"};
        for (const fs::path& way : found.ways) {
            const fs::path file = way / "mountinfo";
            const Seen<std::string> text = system_.read(file);
            if (!text) last = text.error();
            if (!text.there()) continue;
            return add(id, file.string(), text.value(), found.members);
        }
        // Nobody left in it: if it lives on, then by a bind mount or a descriptor, and is found below.
        if (!last.cause.starts_with("everything")) mounts_.unseen.push_back(last);
    }

    void add(const std::string& id, const std::string& looked_at, std::string_view text,
             const std::vector<Process>& members) {
        Result<std::vector<Mount>> parsed = parse_mounts(text);
        if (!parsed) {
            parsed.error().object = looked_at;
            return mounts_.unseen.push_back(parsed.error());
        }
        seen_.insert(id);
        for (const Mount& mount : *parsed)
            if (mount.type == "nsfs" && mount.root.starts_with(prefix)) {
                // Its path is one of the namespace it was seen in, so it is reached through a member of that.
                const std::string way =
                    members.empty() ? mount.point : fmt::format("/proc/{}/root{}", members.front().id, mount.point);
                kept_.emplace(mount.root, way);
            }
        mounts_.namespaces.push_back({id, looked_at, members, std::move(*parsed)});
    }

    /// Each may keep further ones: until there is none left.
    void look_at_kept() {
        while (!kept_.empty()) {
            const auto [id, way] = *kept_.begin();
            kept_.erase(kept_.begin());
            if (!seen_.insert(id).second) continue;
            const std::string command = fmt::format("nsenter --mount={} cat /proc/self/mountinfo", way.string());
            const Result<base::Finished> entered =
                system_.run({"nsenter", "--mount=" + way.string(), "cat", "/proc/self/mountinfo"});
            if (entered && entered->status == 0) {
                add(id, command, entered->output, {});
                continue;
            }
            mounts_.unseen.push_back({.attempt = "look into the mount namespace",
                                      .object = fmt::format("{} by {}", id, way.string()),
                                      .cause = entered ? entered->errors : entered.error().cause,
                                      .advice = "end what keeps it: a bind mount or an open descriptor"});
        }
    }

    const System& system_;
    const std::vector<Process>& processes_;
    Mounts mounts_;
    std::map<std::string, Found> found_;
    std::map<std::string, fs::path> kept_;
    std::set<std::string> seen_;
};

}  // namespace

bool Mount::read_only() const {
    const std::vector<std::string_view> words = parts_of(options, ',');
    return std::ranges::find(words, "ro") != words.end();
}

bool Mount::binds_on_itself(std::string_view folder) const {
    // What it binds is told from the root of its filesystem, which may itself be mounted further up or down.
    return point == folder && root != "/" && (folder.ends_with(root) || root.ends_with(folder));
}

Result<std::vector<Mount>> parse_mounts(std::string_view mountinfo) {
    std::vector<Mount> mounts;
    for (const std::string_view line : lines_of(mountinfo)) {
        std::optional<Mount> mount = parse_line(line);
        if (!mount)
            return base::fail(
                {.attempt = "read", .object = "mountinfo", .cause = "a line has another form: " + std::string(line)});
        mounts.push_back(std::move(*mount));
    }
    return mounts;
}

Result<Mounts> read_mounts(const System& system, const std::vector<Process>& processes) {
    return MountSearch(system, processes).run();
}

}  // namespace safe::verify
