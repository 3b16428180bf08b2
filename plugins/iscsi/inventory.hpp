// Whose is what: matches the host's sessions, our node records and our device links with volumes, so that whatever a
// kill left half made belongs to exactly one of them. Pure.
//
// Ours is what bears our mark: a session made through our interface name, a node record of that name. A unit belongs to
// the volume whose link points to it, else to the one that was recorded or is declared at its address. A session of
// ours without a unit of any volume, and a node record without a session, are *remnants*: they belong to the volume
// that the record names, else to the first that lies there, else to nobody in the file, and then go by the target's
// name.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plugins/iscsi/iscsi_api.hpp"

namespace safe::iscsi {

struct Claim {
    std::optional<Address> wanted = std::nullopt;              // of the spec
    std::optional<Address> recorded = std::nullopt;            // where it was last attached from
    std::optional<std::filesystem::path> link = std::nullopt;  // what its device link points to
};

struct World {
    std::string mark;
    std::filesystem::path devices = "/dev";
    std::vector<Session> sessions;         // the host's, whosever
    std::vector<SeenRecord> records;       // ours
    std::map<std::string, Claim> volumes;  // by name: declared, recorded, or linked

    [[nodiscard]] const Session* ours(const Endpoint& endpoint) const;
    /// Somebody else's session to the same place.
    [[nodiscard]] const Session* theirs(const Endpoint& endpoint) const;
    [[nodiscard]] bool has_record(const Endpoint& endpoint) const;
};

/// Pointers into the world.
struct Placement {
    std::optional<Address> address = std::nullopt;  // nullopt: nothing of it is there
    const Session* session = nullptr;
    const Unit* unit = nullptr;  // with a block device
    bool linked = false;         // its link points to the unit
    bool link_exists = false;
};

/// `name`: a volume, or what owner_of_remnant gave.
[[nodiscard]] Placement locate(const World& world, const std::string& name);

/// The name under which a remnant at this place goes; nullopt when there is none.
[[nodiscard]] std::optional<std::string> owner_of_remnant(const World& world, const Endpoint& endpoint);

/// Everything that is there in part or whole.
[[nodiscard]] std::vector<std::string> names(const World& world);

/// Volumes, other than `except`, that have a unit on this session.
[[nodiscard]] bool serves_others(const World& world, const Session& session, const std::string& except);

}  // namespace safe::iscsi
