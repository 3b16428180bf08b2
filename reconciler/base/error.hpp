// What went wrong, in the four parts every message of this product has: what was tried, on what, why it failed and
// what to do next. Values, copied freely; no part ever holds a secret.
#pragma once

#include <string>

namespace safe::base {

struct Error {
    enum class Kind {
        failed,       // it was tried and did not work
        refused,      // it was not tried, because it must not be: nothing was touched
        interrupted,  // somebody asked us to stop
    };

    std::string attempt;      // verb phrase: "define the virtual machine"
    std::string object;       // what it was tried on: "vm/forge", "/etc/safe/atlas.yaml"
    std::string cause;        // why it failed, in the words of the system that said no
    std::string advice = {};  // what to do next; empty only when nothing useful can be said
    Kind kind = Kind::failed;

    bool operator==(const Error&) const = default;
};

/// One line: "cannot define the virtual machine vm/forge: out of memory; free some and apply again".
[[nodiscard]] std::string to_text(const Error& error);

/// "open: Permission denied" for an errno value; thread-safe.
[[nodiscard]] std::string errno_text(int error_number);

}  // namespace safe::base
