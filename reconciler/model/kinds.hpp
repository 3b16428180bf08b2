// The only list of the kinds of things a safe is made of. Drivers answer for kinds; plans, journals and people name
// them by these words.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace safe::model {

enum class Kind {
    network,
    image,
    disk,
    vm,       // the inactive definition of a virtual machine
    power,    // the running guest
    ruleset,  // one chain of the firewall
    account,
    group,
    container,
    keyslot,
    session,
    mapping,
    mount,
    exported,  // spelled "export", which C++ keeps for itself
};

inline constexpr std::array<std::pair<Kind, std::string_view>, 14> kind_names{{
    {Kind::network, "network"},
    {Kind::image, "image"},
    {Kind::disk, "disk"},
    {Kind::vm, "vm"},
    {Kind::power, "power"},
    {Kind::ruleset, "ruleset"},
    {Kind::account, "account"},
    {Kind::group, "group"},
    {Kind::container, "container"},
    {Kind::keyslot, "keyslot"},
    {Kind::session, "session"},
    {Kind::mapping, "mapping"},
    {Kind::mount, "mount"},
    {Kind::exported, "export"},
}};

[[nodiscard]] constexpr std::string_view to_text(Kind kind) {
    for (const auto& [known, name] : kind_names)
        if (known == kind) return name;
    return "?";
}

[[nodiscard]] constexpr std::optional<Kind> parse_kind(std::string_view text) {
    for (const auto& [kind, name] : kind_names)
        if (name == text) return kind;
    return std::nullopt;
}

}  // namespace safe::model
