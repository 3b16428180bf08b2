// safectl user list: who is a member, and how far each has come. Touches nothing and needs no key.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

#include "reconciler/base/characters.hpp"
#include "reconciler/cli/user.hpp"

namespace safe::cli {
namespace {

using members::RollEntry;
using Row = std::array<std::string, 5>;

Row row_of(const RollEntry& entry, bool directory_known) {
    std::string slots;
    for (const members::Keyslot& keyslot : entry.keyslots)
        slots += fmt::format(
            "{}{} ({})", slots.empty() ? "" : ", ", keyslot.slot ? std::to_string(*keyslot.slot) : "unfinished",
            keyslot.generation == members::no_generation ? "no token"
                                                         : fmt::format("generation {}", keyslot.generation));
    std::string directory = "unknown";
    if (directory_known)
        directory = !entry.entry              ? "no entry"
                    : entry.entry->generation ? fmt::format("generation {}", *entry.entry->generation)
                                              : "no password";
    return {base::printable(entry.user), entry.super ? "super" : "", slots.empty() ? "-" : slots, directory,
            std::string(to_text(entry.state))};
}

void print_text(const members::Roll& roll) {
    std::vector<Row> rows{{"USER", "", "KEYSLOT", "DIRECTORY", "STATE"}};
    for (const RollEntry& entry : roll.entries) rows.push_back(row_of(entry, !roll.directory_out_of_reach));
    std::array<std::size_t, 5> widths{};
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths.at(i) = std::max(widths.at(i), row.at(i).size());
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row.at(i), widths.at(i));
        line.erase(line.find_last_not_of(' ') + 1);
        say("{}\n", line);
    }
    say("\nroom for {} more\n", roll.room);
    if (roll.others > 0) say("{} keyslots belong to nobody we know and are left alone\n", roll.others);
}

void print_json(const members::Roll& roll) {
    nlohmann::ordered_json users = nlohmann::ordered_json::array();
    for (const RollEntry& entry : roll.entries) {
        nlohmann::ordered_json user{{"user", entry.user}, {"in_spec", entry.in_spec}, {"super", entry.super}};
        user["keyslots"] = nlohmann::ordered_json::array();
        for (const members::Keyslot& keyslot : entry.keyslots) {
            nlohmann::ordered_json one{{"generation", keyslot.generation}, {"slot", nullptr}};
            if (keyslot.slot) one["slot"] = *keyslot.slot;
            user["keyslots"].push_back(std::move(one));
        }
        user["generation"] = nullptr;
        if (entry.entry && entry.entry->generation) user["generation"] = *entry.entry->generation;
        user["state"] = std::string(to_text(entry.state));
        users.push_back(std::move(user));
    }
    say_document({{"version", 1},
                  {"kind", "users"},
                  {"users", std::move(users)},
                  {"other_keyslots", roll.others},
                  {"room", roll.room},
                  {"directory_reached", !roll.directory_out_of_reach}});
}

ExitCode list_members(const SpecOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options);
    if (!spec) return failure;
    const base::Result<MemberDesk> desk = MemberDesk::open(*spec, options, around);
    if (!desk) return report_error(desk.error(), options.format);
    const base::Result<members::Roll> roll = desk->call_roll();
    if (!roll) return report_error(roll.error(), options.format);
    options.format == Format::json ? print_json(*roll) : print_text(*roll);
    if (!roll->directory_out_of_reach) return success;
    print_error(*roll->directory_out_of_reach, options.format);
    return failure;
}

}  // namespace

void add_user_list(Menu& menu) {
    menu.add<SpecOptions>("list", "Show who is a member, and who can open the safe.", add_safe, list_members);
}

}  // namespace safe::cli
