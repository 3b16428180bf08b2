// What people want of a safe: who is inside, which tasks run, whether it is locked. Values, as the store (store.hpp)
// holds them; the questions below are pure.
//
// A session is a lease: whoever carries it (the gateway, for its live connections; safectl for a local one) renews it,
// and what is not renewed is over by itself. It belongs to one boot of the host, so that nobody is inside after a power
// cut. A task keeps the safe open with nobody connected until its deadline; it survives a reboot. A lock wins over
// everything and lasts until a super-user lifts it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/intent/clock.hpp"

namespace safe::intent {

inline constexpr auto lease = std::chrono::seconds(60);      // a session that is not renewed for so long is over
inline constexpr auto close_hold = std::chrono::minutes(5);  // logins are refused for so long after a close
inline constexpr auto longest_task = std::chrono::days(7);
inline constexpr std::string_view without_key = "root";    // who opens a safe without a vault: nobody has a key to it
inline constexpr std::string_view local_source = "local";  // safectl on the hypervisor

struct Session {
    std::string source;  // who carries it: local_source, or the name of a gateway
    std::string id;      // unique within its source
    std::string user;
    std::string boot;                              // of the host
    BootTime renewed = {};                         // last time its source said that it is there
    std::optional<BootTime> until = std::nullopt;  // a local one needs no renewing: it ends here
    std::optional<BootTime> ended = std::nullopt;  // its source said that it is over
    bool operator==(const Session&) const = default;
};

struct Task {
    std::string name;
    std::string owner;
    WallTime created = {};
    WallTime deadline = {};
    bool operator==(const Task&) const = default;
};

struct Lock {
    std::string by;  // a super-user, or "root"
    std::string reason;
    WallTime at = {};
    bool operator==(const Lock&) const = default;
};

/// After a close: logins are refused until then.
struct Hold {
    std::string boot;
    BootTime until = {};
    bool operator==(const Hold&) const = default;
};

struct Snapshot {
    std::vector<Session> sessions = {};  // by source and id; ended ones too, as long as linger may ask
    std::vector<Task> tasks = {};        // by name; overdue ones too
    std::optional<Lock> lock = std::nullopt;
    std::optional<Hold> hold = std::nullopt;
};

/// When the session ended or will end if nothing renews it; nullopt when it belongs to another boot.
[[nodiscard]] std::optional<BootTime> end_of(const Session& session, const Now& now);
[[nodiscard]] bool is_live(const Session& session, const Now& now);
[[nodiscard]] bool is_running(const Task& task, const Now& now);
[[nodiscard]] bool holds(const Hold& hold, const Now& now);

}  // namespace safe::intent
