#include "plugins/iscsi/sysfs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <expected>
#include <map>
#include <span>
#include <string_view>
#include <system_error>

#include "plugins/iscsi/scsi.hpp"
#include "reconciler/base/file_descriptor.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;

template <class T>
using OrErrno = std::expected<T, int>;

/// At most a page, as sysfs has it; more for VPD pages and mount tables.
OrErrno<std::string> read_whole(const fs::path& path) {
    const base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::unexpected(errno);
    std::string content;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::unexpected(errno);
        if (got == 0) return content;
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

OrErrno<std::string> read_line(const fs::path& path) {
    OrErrno<std::string> text = read_whole(path);
    if (text)
        while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
    return text;
}

bool is_gone(int error) { return error == ENOENT || error == ENODEV || error == ENXIO || error == ENOTDIR; }

/// An attribute that not every object has: empty without it.
OrErrno<std::string> read_optional(const fs::path& path) {
    OrErrno<std::string> text = read_line(path);
    if (!text && is_gone(text.error())) return std::string();
    return text;
}

OrErrno<std::vector<fs::path>> entries(const fs::path& directory, std::string_view prefix) {
    std::vector<fs::path> found;
    std::error_code error;
    fs::directory_iterator at(directory, error);
    for (; !error && at != fs::directory_iterator(); at.increment(error))
        if (at->path().filename().string().starts_with(prefix)) found.push_back(at->path());
    if (error) return std::unexpected(error.value());
    std::ranges::sort(found);
    return found;
}

/// The number at the end of a name, after its last character that is no digit.
std::optional<std::uint32_t> number_of(const fs::path& path) {
    const std::string name = path.filename().string();
    const auto start = name.find_last_not_of("0123456789") + 1;  // npos + 1 is 0
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(name.data() + start, name.data() + name.size(), number);
    if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
    return number;
}

Bytes as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

/// Mount points by "major:minor".
OrErrno<std::multimap<std::string, std::string>> read_mounts(const fs::path& mountinfo) {
    const OrErrno<std::string> text = read_whole(mountinfo);
    if (!text) return std::unexpected(text.error());
    std::multimap<std::string, std::string> mounts;
    for (std::string_view rest = *text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        std::array<std::string_view, 5> words;  // proc(5): id, parent, major:minor, root, mount point
        std::string_view left = line;
        for (std::string_view& word : words) {
            word = left.substr(0, left.find(' '));
            left.remove_prefix(std::min(word.size() + 1, left.size()));
        }
        mounts.emplace(words[2], words[4]);
    }
    return mounts;
}

/// What lies on a block device: device-mapper and the like above it, and where it is mounted.
OrErrno<void> add_users(const fs::path& block, const std::multimap<std::string, std::string>& mounts,
                        std::vector<std::string>& users) {
    const auto holders = entries(block / "holders", "");
    if (!holders && !is_gone(holders.error())) return std::unexpected(holders.error());
    if (holders)
        for (const fs::path& holder : *holders) {
            const OrErrno<std::string> name = read_optional(holder / "dm" / "name");
            users.push_back(name && !name->empty() ? fmt::format("{} ({})", holder.filename().string(), *name)
                                                   : holder.filename().string());
        }
    const OrErrno<std::string> number = read_optional(block / "dev");
    if (!number) return std::unexpected(number.error());
    for (auto [at, end] = mounts.equal_range(*number); at != end; ++at)
        if (!number->empty()) users.push_back("mounted on " + at->second);
    return {};
}

OrErrno<void> read_block(const fs::path& block, const std::multimap<std::string, std::string>& mounts, Unit& unit) {
    unit.device = block.filename().string();
    const OrErrno<std::string> sectors = read_line(block / "size");
    if (!sectors) return std::unexpected(sectors.error());
    std::from_chars(sectors->data(), sectors->data() + sectors->size(), unit.capacity);
    unit.capacity *= 512;
    if (OrErrno<void> added = add_users(block, mounts, unit.users); !added) return added;
    const auto partitions = entries(block, unit.device);
    if (!partitions) return std::unexpected(partitions.error());
    for (const fs::path& partition : *partitions)
        if (OrErrno<void> added = add_users(partition, mounts, unit.users); !added) return added;
    return {};
}

OrErrno<Unit> read_unit(const fs::path& directory, const std::multimap<std::string, std::string>& mounts) {
    Unit unit;
    unit.lun = number_of(directory).value_or(0);
    const OrErrno<std::string> state = read_line(directory / "state");
    if (!state) return std::unexpected(state.error());
    unit.state = *state;
    const OrErrno<std::string> serial = read_whole(directory / "vpd_pg80");
    if (!serial && !is_gone(serial.error()) && serial.error() != EINVAL) return std::unexpected(serial.error());
    if (serial) unit.serial = serial_of(as_bytes(*serial));
    const OrErrno<std::string> designator = read_whole(directory / "vpd_pg83");
    if (!designator && !is_gone(designator.error()) && designator.error() != EINVAL)
        return std::unexpected(designator.error());
    if (designator) unit.designator = designator_of(as_bytes(*designator));
    const auto blocks = entries(directory / "block", "");
    if (!blocks) {
        if (is_gone(blocks.error())) return unit;
        return std::unexpected(blocks.error());
    }
    for (const fs::path& block : *blocks)
        if (OrErrno<void> read = read_block(block, mounts, unit); !read) return std::unexpected(read.error());
    return unit;
}

OrErrno<fs::path> session_directory(const fs::path& session_class) {
    std::error_code error;
    fs::path directory = fs::canonical(session_class / "device", error);
    if (error) return std::unexpected(error.value());
    return directory;
}

/// The directories of its SCSI devices: target2:0:0/2:0:0:1.
OrErrno<std::vector<fs::path>> unit_directories(const fs::path& session) {
    const auto targets = entries(session, "target");
    if (!targets) return targets;
    std::vector<fs::path> units;
    for (const fs::path& target : *targets) {
        const std::string address = target.filename().string().substr(std::string_view("target").size()) + ":";
        const auto below = entries(target, address);
        if (!below && !is_gone(below.error())) return below;
        if (below) units.insert(units.end(), below->begin(), below->end());
    }
    return units;
}

OrErrno<Session> read_session(const fs::path& session_class, const std::multimap<std::string, std::string>& mounts) {
    Session session;
    session.number = number_of(session_class).value_or(0);
    const std::array<std::pair<const char*, std::string*>, 2> attributes{
        {{"targetname", &session.endpoint.target}, {"state", &session.state}}};
    for (const auto& [name, into] : attributes) {
        OrErrno<std::string> text = read_line(session_class / name);
        if (!text) return std::unexpected(text.error());
        *into = *std::move(text);
    }
    OrErrno<std::string> interface = read_optional(session_class / "ifacename");
    if (!interface) return std::unexpected(interface.error());
    session.interface = *std::move(interface);
    const OrErrno<fs::path> directory = session_directory(session_class);
    if (!directory) return std::unexpected(directory.error());
    const auto connections = entries(*directory, "connection");
    if (!connections) return std::unexpected(connections.error());
    for (const fs::path& connection : *connections) {
        const fs::path attributes_of = connection / "iscsi_connection" / connection.filename();
        const OrErrno<std::string> address = read_optional(attributes_of / "persistent_address");
        const OrErrno<std::string> port = read_optional(attributes_of / "persistent_port");
        if (!address) return std::unexpected(address.error());
        if (!port) return std::unexpected(port.error());
        session.endpoint.portal = *address + ":" + *port;
        session.checksums = read_optional(attributes_of / "header_digest") == "1" &&
                            read_optional(attributes_of / "data_digest") == "1";
    }
    const auto units = unit_directories(*directory);
    if (!units) return std::unexpected(units.error());
    for (const fs::path& at : *units) {
        OrErrno<Unit> unit = read_unit(at, mounts);
        if (unit)
            session.units.push_back(*std::move(unit));
        else if (!is_gone(unit.error()) || fs::exists(at / "state"))
            return std::unexpected(unit.error());
    }
    std::ranges::sort(session.units, {}, &Unit::lun);
    return session;
}

std::unexpected<base::Error> unreadable(const fs::path& path, int error) {
    return base::fail(
        {"look at the iSCSI sessions in", path.string(), base::errno_text(error), "run as root, with sysfs mounted"});
}

fs::path class_of(const Roots& roots, std::uint32_t session) {
    return roots.sysfs / "class" / "iscsi_session" / fmt::format("session{}", session);
}

}  // namespace

base::Result<std::vector<Session>> read_sessions(const Roots& roots) {
    const fs::path classes = roots.sysfs / "class";
    // Without the module there is no such class; without sysfs nothing can be told.
    if (const auto there = entries(classes, ""); !there) return unreadable(classes, there.error());
    const auto found = entries(classes / "iscsi_session", "session");
    if (!found && found.error() == ENOENT) return std::vector<Session>();
    if (!found) return unreadable(classes / "iscsi_session", found.error());
    if (found->empty()) return std::vector<Session>();
    const auto mounts = read_mounts(roots.mounts);
    if (!mounts) return unreadable(roots.mounts, mounts.error());
    std::vector<Session> sessions;
    for (const fs::path& at : *found) {
        OrErrno<Session> session = read_session(at, *mounts);
        std::error_code ignored;
        if (session)
            sessions.push_back(*std::move(session));
        else if (!is_gone(session.error()) || fs::exists(at, ignored))
            return unreadable(at, session.error());
    }
    std::ranges::sort(sessions, {}, &Session::number);
    return sessions;
}

std::optional<fs::path> scan_file(const Roots& roots, std::uint32_t session) {
    const OrErrno<fs::path> directory = session_directory(class_of(roots, session));
    if (!directory) return std::nullopt;
    return roots.sysfs / "class" / "scsi_host" / directory->parent_path().filename() / "scan";
}

std::optional<fs::path> unit_directory(const Roots& roots, std::uint32_t session, std::uint32_t lun) {
    const OrErrno<fs::path> directory = session_directory(class_of(roots, session));
    if (!directory) return std::nullopt;
    const auto units = unit_directories(*directory);
    if (!units) return std::nullopt;
    const auto found = std::ranges::find_if(*units, [lun](const fs::path& at) { return number_of(at) == lun; });
    return found == units->end() ? std::nullopt : std::optional(*found);
}

}  // namespace safe::iscsi
