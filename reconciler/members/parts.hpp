// What the commands on members work with: the vault's header, the directory, the memory of wrong passwords, and who is
// meant to be a member. References: everything outlives the calls. One command at a time: callers hold the safe's lock
// file. Nothing here starts threads.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/members/attempts.hpp"
#include "reconciler/members/directory.hpp"
#include "reconciler/members/vault_keys.hpp"

namespace safe::members {

/// One of `users:` in the spec.
struct Member {
    std::string name;
    bool super = false;
};

/// What a password is tried on, and who counts the wrong ones.
struct Gate {
    KeyTrial& trial;
    AttemptStore& attempts;
    std::string source = "local";  // where the password is typed
    std::function<std::chrono::system_clock::time_point()> now = std::chrono::system_clock::now;
};

struct Parts {
    VaultKeys& vault;
    Directory& directory;
    AttemptStore& attempts;
    std::vector<Member> roster;
    std::string source = "local";  // where the passwords of this command are typed
    std::function<std::chrono::system_clock::time_point()> now = std::chrono::system_clock::now;
    /// Ends the sessions and tasks of a user, before anything else of a revocation; empty where there can be none.
    std::function<base::Result<void>(std::string_view user)> disconnect = nullptr;

    [[nodiscard]] Gate gate() const { return {vault, attempts, source, now}; }
    /// nullptr when nobody of that name is in the spec.
    [[nodiscard]] const Member* member(std::string_view name) const;
};

/// How a command ended that did not fail.
struct Done {
    /// Nobody is locked out and nothing is lost, but the rest must wait for what could not be reached; the next command
    /// or apply finishes it.
    std::optional<base::Error> waits = std::nullopt;
};

}  // namespace safe::members
