#include "specs/scalar_makers.hpp"

#include <charconv>
#include <memory>
#include <mutex>
#include <regex>

namespace safe::specs::types {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t amount;
};

/// A regular expression that is compiled when a spec first has a value for it, which most fields never see: compiling
/// those of all fields took a fifth of the time of a short command.
class LatePattern {
 public:
    explicit LatePattern(std::string pattern) : pattern_(std::move(pattern)) {}

    [[nodiscard]] bool matches(std::string_view text) {
        std::call_once(once_, [this] { compiled_ = std::regex(pattern_); });
        return std::regex_match(text.begin(), text.end(), compiled_);
    }

 private:
    const std::string pattern_;
    std::once_flag once_;
    std::regex compiled_;
};

constexpr std::array<Unit, 3> whole_units{{{"MiB", mebibyte}, {"GiB", gibibyte}, {"TiB", tebibyte}}};
constexpr std::array<Unit, 4> time_units{{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};

}  // namespace

std::string octets() {
    const std::string octet = decimal_pattern(0, 255);
    return fmt::format("{}(?:\\.{}){{3}}", octet, octet);
}
Scalar<std::string> patterned(ScalarInfo info) {
    const auto parse = [pattern = std::make_shared<LatePattern>(info.pattern), longest = info.longest, name = info.name,
                        form = info.form](std::string_view text, const std::string&) -> Parsed<std::string> {
        // The bound comes first: std::regex needs stack for every character.
        if (text.size() <= longest && pattern->matches(text)) return std::string(text);
        return std::unexpected(fmt::format("{}; write {}", name, form));
    };
    return {std::move(info), parse};
}

Scalar<std::uint32_t> whole_number(std::string name, std::uint32_t lowest, std::uint32_t highest) {
    const std::string form = lowest == highest ? fmt::format("the number {}", lowest)
                                               : fmt::format("a whole number from {} to {}", lowest, highest);
    ScalarInfo info{
        .name = std::move(name), .form = form, .kind = ScalarInfo::Kind::integer, .lowest = lowest, .highest = highest};
    info.valid = {std::to_string(lowest), std::to_string(highest)};
    info.invalid = {std::to_string(std::int64_t{lowest} - 1), std::to_string(std::uint64_t{highest} + 1),
                    "18446744073709551616"};
    const auto parse = [lowest, highest, name = info.name, form](std::string_view text,
                                                                 const std::string&) -> Parsed<std::uint32_t> {
        std::uint32_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        const bool whole = error == std::errc{} && end == text.data() + text.size();
        const bool padded = text.size() > 1 && text.front() == '0';
        if (!whole || padded || number < lowest || number > highest)
            return std::unexpected(fmt::format("{}; write {}", name, form));
        return number;
    };
    return {std::move(info), parse};
}

Scalar<ByteSize> size_between(std::string name, std::uint64_t lowest, std::uint64_t highest) {
    std::vector<std::string> alternatives;
    for (const Unit& unit : whole_units) {
        const std::uint64_t fewest = (lowest + unit.amount - 1) / unit.amount;
        alternatives.push_back(decimal_pattern(fewest, highest / unit.amount) + std::string(unit.name));
    }
    const std::string least = to_text(ByteSize{lowest});
    const std::string most = to_text(ByteSize{highest});
    ScalarInfo info{.name = std::move(name),
                    .form = fmt::format("a whole number and MiB, GiB or TiB, {} to {}", least, most),
                    .pattern = fmt::format("^(?:{})$", fmt::join(alternatives, "|")),
                    .longest = 20};
    info.valid = {highest >= 8 * gibibyte ? "8GiB" : "1GiB", least, most, fmt::format("{}MiB", highest / mebibyte)};
    info.invalid = {"",
                    "8",
                    "8GB",
                    "8gib",
                    "8 GiB",
                    "0GiB",
                    "08GiB",
                    "-8GiB",
                    "8.5GiB",
                    "33554432KiB",
                    to_text(ByteSize{lowest - mebibyte}),
                    to_text(ByteSize{highest + mebibyte}),
                    "99999999999999999999TiB"};
    const auto parse = [lowest, highest, name = info.name, form = info.form](std::string_view text,
                                                                             const std::string&) -> Parsed<ByteSize> {
        const auto size = parse_byte_size(text);
        const bool has_unit =
            std::ranges::any_of(whole_units, [&](const Unit& unit) { return text.ends_with(unit.name); });
        if (size && has_unit && size->bytes >= lowest && size->bytes <= highest) return *size;
        return std::unexpected(fmt::format("{}; write {}", name, form));
    };
    return {std::move(info), parse};
}

Scalar<Duration> time_between(std::string name, std::uint32_t lowest, std::uint32_t highest) {
    std::vector<std::string> alternatives;
    for (const Unit& unit : time_units) {
        const std::uint64_t fewest = (lowest + unit.amount - 1) / unit.amount;
        if (fewest > highest / unit.amount) continue;
        alternatives.push_back(decimal_pattern(fewest, highest / unit.amount) + std::string(unit.name));
    }
    const std::string least = to_text(Duration{lowest});
    const std::string most = to_text(Duration{highest});
    ScalarInfo info{.name = std::move(name),
                    .form = fmt::format("a whole number and s, m, h or d, {} to {}", least, most),
                    .pattern = fmt::format("^(?:{})$", fmt::join(alternatives, "|")),
                    .longest = 10};
    info.valid = {most, least, fmt::format("{}s", highest)};
    info.invalid = {"", "90", "90 s", "90S", "1.5m", "-1s", "010s", "2m30s", fmt::format("{}s", highest + 1)};
    if (lowest > 0) info.invalid.push_back(fmt::format("{}s", lowest - 1));
    const auto parse = [lowest, highest, name = info.name, form = info.form](std::string_view text,
                                                                             const std::string&) -> Parsed<Duration> {
        const auto time = parse_duration(text);
        if (time && time->seconds >= lowest && time->seconds <= highest) return *time;
        return std::unexpected(fmt::format("{}; write {}", name, form));
    };
    return {std::move(info), parse};
}

bool is_path_text(std::string_view text) {
    constexpr std::size_t longest = 1024;
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    return !text.empty() && text.size() <= longest && std::ranges::none_of(text, is_control);
}

ScalarInfo path_info(std::string name, std::string form) {
    return {.name = std::move(name),
            .form = std::move(form),
            .pattern = R"(^[^\x00-\x1f\x7f]{1,1024}$)",
            .longest = 1024,
            .valid = {"images/desktop.qcow2", "desktop.qcow2", "a/../b"},
            .invalid = {"", "a\tb", std::string(1025, 'a')}};
}

}  // namespace safe::specs::types
