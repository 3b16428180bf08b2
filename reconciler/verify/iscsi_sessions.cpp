#include "reconciler/verify/iscsi_sessions.hpp"

#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;
using base::Result;
using Names = std::vector<std::string>;

Result<Names> names_in(const System& system, const fs::path& folder) {
    const Seen<Names> names = system.list(folder);
    if (!names) return base::fail(names.error());
    return names.value_or(Names());
}

Result<std::string> line_of(const System& system, const fs::path& file) {
    const Seen<std::string> line = system.read_line(file);
    if (!line) return base::fail(line.error());
    return line.value_or("");
}

/// Below the session's device lie target2:0:0/2:0:0:<lun>/block/<name>.
Result<void> read_disks(const System& system, const fs::path& target, std::vector<IscsiDisk>& disks) {
    const Result<Names> units = names_in(system, target);
    if (!units) return base::fail(units.error());
    for (const std::string& unit : *units) {
        const auto parts = parts_of(unit, ':');
        const auto lun = number_of(parts.back());
        if (parts.size() != 4 || !lun) continue;
        const Result<Names> names = names_in(system, target / unit / "block");
        if (!names) return base::fail(names.error());
        for (const std::string& name : *names) disks.push_back({*lun, name});
    }
    return {};
}

Result<void> read_device(const System& system, const fs::path& device, IscsiSession& session) {
    const Result<Names> entries = names_in(system, device);
    if (!entries) return base::fail(entries.error());
    for (const std::string& entry : *entries) {
        if (entry.starts_with("target"))
            if (Result<void> read = read_disks(system, device / entry, session.disks); !read) return read;
        if (!entry.starts_with("connection")) continue;
        const fs::path connection = device / entry / "iscsi_connection" / entry;
        const Result<std::string> address = line_of(system, connection / "persistent_address");
        if (!address) return base::fail(address.error());
        const Result<std::string> port = line_of(system, connection / "persistent_port");
        if (!port) return base::fail(port.error());
        session.portals.push_back(*address + ":" + *port);
    }
    return {};
}

}  // namespace

bool names_one_target(const std::string& one, const std::string& other) { return lower(one) == lower(other); }

Result<std::vector<IscsiSession>> read_iscsi_sessions(const System& system) {
    const fs::path folder = "/sys/class/iscsi_session";
    const Result<Names> names = names_in(system, folder);
    if (!names) return base::fail(names.error());
    std::vector<IscsiSession> sessions;
    for (const std::string& name : *names) {
        IscsiSession session{.name = name, .target = {}, .state = {}, .portals = {}, .disks = {}};
        Result<std::string> target = line_of(system, folder / name / "targetname");
        if (!target) return base::fail(target.error());
        Result<std::string> state = line_of(system, folder / name / "state");
        if (!state) return base::fail(state.error());
        session.target = std::move(*target);
        session.state = std::move(*state);
        if (const Result<void> read = read_device(system, folder / name / "device", session); !read)
            return base::fail(read.error());
        sessions.push_back(std::move(session));
    }
    return sessions;
}

}  // namespace safe::verify
