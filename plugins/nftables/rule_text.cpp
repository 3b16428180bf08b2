#include "plugins/nftables/rule_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace safe::nftables {
namespace {

struct Field {
    enum class Source { meta, payload, ct };
    std::string_view text;
    Source source;
    std::string_view protocol;  // of a payload
    std::string_view name;
};

using enum Field::Source;
constexpr std::array<Field, 24> fields{{
    {"iifname", meta, {}, "iifname"},
    {"oifname", meta, {}, "oifname"},
    {"meta ibrname", meta, {}, "ibrname"},
    {"meta obrname", meta, {}, "obrname"},
    {"ether saddr", payload, "ether", "saddr"},
    {"ether daddr", payload, "ether", "daddr"},
    {"ether type", payload, "ether", "type"},
    {"arp htype", payload, "arp", "htype"},
    {"arp ptype", payload, "arp", "ptype"},
    {"arp hlen", payload, "arp", "hlen"},
    {"arp plen", payload, "arp", "plen"},
    {"arp operation", payload, "arp", "operation"},
    {"arp saddr ether", payload, "arp", "saddr ether"},
    {"arp saddr ip", payload, "arp", "saddr ip"},
    {"ip saddr", payload, "ip", "saddr"},
    {"ip daddr", payload, "ip", "daddr"},
    {"ip protocol", payload, "ip", "protocol"},
    {"tcp sport", payload, "tcp", "sport"},
    {"tcp dport", payload, "tcp", "dport"},
    {"udp sport", payload, "udp", "sport"},
    {"udp dport", payload, "udp", "dport"},
    {"icmp type", payload, "icmp", "type"},
    {"ct state", ct, {}, "state"},
    {"ct direction", ct, {}, "direction"},
}};

const Field* find_field(std::string_view text) {
    const auto found = std::ranges::find(fields, text, &Field::text);
    return found == fields.end() ? nullptr : &*found;
}

Json left_of(const Field& field) {
    switch (field.source) {
        case meta:
            return {{"meta", {{"key", field.name}}}};
        case payload:
            return {{"payload", {{"protocol", field.protocol}, {"field", field.name}}}};
        case ct:
            return {{"ct", {{"key", field.name}}}};
    }
    return {};
}

/// nft compares bit masks with "in" and everything else with "==" where nothing is written.
std::string_view plain_operator(std::string_view field) { return field == "ct state" ? "in" : "=="; }

bool all_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// A name that reads back as itself: no number, no range, no network, nothing that ends a value.
bool is_plain_name(std::string_view text) {
    const auto harmless = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("_.:-*").find(c) != std::string_view::npos;
    };
    if (text.empty() || all_digits(text) || !std::ranges::all_of(text, harmless)) return false;
    const bool starts_as_number = text.front() >= '0' && text.front() <= '9';
    return !(starts_as_number && text.find('-') != std::string_view::npos);
}

std::optional<std::string> value_text(const Json& value);

/// The texts of a list, numbers by their size and before everything else.
std::optional<std::vector<std::string>> sorted_texts(const Json& list) {
    std::vector<std::pair<std::int64_t, std::string>> texts;
    for (const Json& value : list) {
        auto text = value_text(value);
        if (!text) return std::nullopt;
        texts.emplace_back(value.is_number_integer() ? value.get<std::int64_t>() : INT64_MAX, *std::move(text));
    }
    std::ranges::sort(texts);
    std::vector<std::string> sorted;
    sorted.reserve(texts.size());
    for (auto& [size, text] : texts) sorted.push_back(std::move(text));
    return sorted;
}

/// nullopt for what has no short spelling.
std::optional<std::string> value_text(const Json& value) {
    if (value.is_number_integer() && value.get<std::int64_t>() >= 0) return value.dump();
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        return is_plain_name(text) ? text : value.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    if (!value.is_object() || value.size() != 1) return std::nullopt;
    const std::string& kind = value.begin().key();
    const Json& inner = value.begin().value();
    if (kind == "range" && inner.is_array() && inner.size() == 2) {
        const auto first = value_text(inner[0]);
        const auto last = value_text(inner[1]);
        return first && last ? std::optional(*first + "-" + *last) : std::nullopt;
    }
    if (kind == "prefix" && inner.is_object() && inner.size() == 2 && inner.contains("addr") && inner.contains("len")) {
        const auto address = value_text(inner["addr"]);
        const auto length = value_text(inner["len"]);
        return address && length ? std::optional(*address + "/" + *length) : std::nullopt;
    }
    if (kind == "set" && inner.is_array()) {
        const auto texts = sorted_texts(inner);
        if (!texts || texts->empty()) return std::nullopt;
        return texts->size() == 1 ? texts->front() : fmt::format("{{{}}}", fmt::join(*texts, ", "));
    }
    return std::nullopt;
}

/// The string at `key`, empty when it is something else.
std::string_view string_at(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>())
                                                       : std::string_view();
}

std::optional<std::string_view> left_text(const Json& left) {
    if (!left.is_object() || left.size() != 1 || !left.begin()->is_object()) return std::nullopt;
    const std::string& kind = left.begin().key();
    const Json& inner = *left.begin();
    const bool is_payload = kind == "payload" && inner.size() == 2;
    const bool is_key = (kind == "meta" || kind == "ct") && inner.size() == 1;
    if (!is_payload && !is_key) return std::nullopt;
    const std::string_view protocol = is_payload ? string_at(inner, "protocol") : std::string_view();
    const std::string_view name = string_at(inner, is_payload ? "field" : "key");
    const Field::Source source = is_payload ? payload : kind == "meta" ? meta : ct;
    for (const Field& field : fields)
        if (field.source == source && field.name == name && field.protocol == protocol) return field.text;
    return std::nullopt;
}

std::optional<std::string> match_text(const Json& match) {
    if (!match.is_object() || match.size() != 3 || !match.contains("op") || !match["op"].is_string() ||
        !match.contains("left") || !match.contains("right"))
        return std::nullopt;
    const auto left = left_text(match["left"]);
    if (!left) return std::nullopt;
    const auto& op = match["op"].get_ref<const std::string&>();
    const Json& right = match["right"];
    std::optional<std::string> value;
    if (op == "in" && right.is_array() && !right.empty()) {
        if (const auto texts = sorted_texts(right)) value = fmt::format("{}", fmt::join(*texts, ","));
    } else {
        value = value_text(right);
    }
    if (!value) return std::nullopt;
    return op == plain_operator(*left) ? fmt::format("{} {}", *left, *value)
                                       : fmt::format("{} {} {}", *left, op, *value);
}

std::optional<std::string> statement_text(const Json& statement) {
    if (!statement.is_object() || statement.size() != 1) return std::nullopt;
    const std::string& kind = statement.begin().key();
    const Json& inner = statement.begin().value();
    if (kind == "match") return match_text(inner);
    if (kind == "accept" || kind == "drop") return inner.is_null() ? std::optional(kind) : std::nullopt;
    if (kind == "counter") return inner.is_null() || inner.is_object() ? std::optional(kind) : std::nullopt;
    if ((kind == "jump" || kind == "goto") && inner.is_object() && inner.size() == 1 && inner.contains("target")) {
        const auto target = value_text(inner["target"]);
        return target ? std::optional(kind + " " + *target) : std::nullopt;
    }
    return std::nullopt;
}

/// Reads what to_rule_text wrote.
class Reader {
 public:
    explicit Reader(std::string_view text) : rest_(text) {}

    std::optional<Json> rule() {
        Json statements = Json::array();
        while (!rest_.empty()) {
            auto next = statement();
            if (!next) return std::nullopt;
            statements.push_back(*std::move(next));
        }
        return statements.empty() ? std::nullopt : std::optional(std::move(statements));
    }

 private:
    /// Up to the next blank, which goes too.
    std::string_view word() {
        const std::string_view found = rest_.substr(0, rest_.find(' '));
        rest_.remove_prefix(std::min(found.size() + 1, rest_.size()));
        return found;
    }

    const Field* field(std::string_view first) {
        // The longest name wins: "arp saddr ip" before a field that would be called "arp saddr".
        for (std::size_t words = 3; words > 0; --words) {
            std::string name(first);
            Reader ahead(rest_);
            for (std::size_t i = 1; i < words; ++i) name += " " + std::string(ahead.word());
            if (const Field* found = find_field(name)) {
                rest_ = ahead.rest_;
                return found;
            }
        }
        return nullptr;
    }

    std::optional<Json> statement() {
        const std::string_view first = word();
        if (first == "accept" || first == "drop" || first == "counter") return Json{{first, nullptr}};
        if (first == "jump" || first == "goto") {
            auto target = scalar(word());
            if (!target || !target->is_string()) return std::nullopt;
            return Json{{first, {{"target", *std::move(target)}}}};
        }
        const Field* left = field(first);
        if (left == nullptr) return std::nullopt;
        std::string op(plain_operator(left->text));
        if (const std::string_view next = rest_.substr(0, rest_.find(' '));
            next == "==" || next == "!=" || next == "in")
            op = word();
        auto right = value(op == "in");
        if (!right) return std::nullopt;
        return Json{{"match", {{"op", op}, {"left", left_of(*left)}, {"right", *std::move(right)}}}};
    }

    std::optional<Json> value(bool flags) {
        if (rest_.starts_with('{')) {
            const auto end = rest_.find('}');
            if (end == std::string_view::npos) return std::nullopt;
            const std::string_view inside = rest_.substr(1, end - 1);
            rest_.remove_prefix(std::min(end + 2, rest_.size()));
            auto list = split(inside, ", ");
            return list ? std::optional(Json{{"set", *std::move(list)}}) : std::nullopt;
        }
        const std::string_view text = word();
        if (flags && text.find(',') != std::string_view::npos) return split(text, ",");
        return scalar(text);
    }

    static std::optional<Json> split(std::string_view text, std::string_view separator) {
        Json list = Json::array();
        while (true) {
            const auto end = text.find(separator);
            auto item = scalar(text.substr(0, end));
            if (!item) return std::nullopt;
            list.push_back(*std::move(item));
            if (end == std::string_view::npos) return list;
            text.remove_prefix(end + separator.size());
        }
    }

    static std::optional<Json> scalar(std::string_view text) {
        if (text.starts_with('"')) {
            Json quoted = Json::parse(text, nullptr, /*allow_exceptions=*/false);
            return quoted.is_string() ? std::optional(std::move(quoted)) : std::nullopt;
        }
        if (all_digits(text)) {
            std::uint32_t number = 0;
            const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
            return read.ec == std::errc() ? std::optional(Json(number)) : std::nullopt;
        }
        if (is_plain_name(text)) return Json(text);
        if (const auto slash = text.find('/'); slash != std::string_view::npos) {
            auto address = scalar(text.substr(0, slash));
            auto length = scalar(text.substr(slash + 1));
            if (!address || !length) return std::nullopt;
            return Json{{"prefix", {{"addr", *std::move(address)}, {"len", *std::move(length)}}}};
        }
        if (const auto dash = text.find('-'); dash != std::string_view::npos) {
            auto first = scalar(text.substr(0, dash));
            auto last = scalar(text.substr(dash + 1));
            if (!first || !last) return std::nullopt;
            return Json{{"range", Json::array({*std::move(first), *std::move(last)})}};
        }
        return std::nullopt;
    }

    std::string_view rest_;
};

}  // namespace

std::string to_rule_text(const Json& expr) {
    std::string out;
    for (const Json& statement : expr) {
        if (!out.empty()) out += ' ';
        const auto text = statement_text(statement);
        out += text ? *text : statement.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    return out;
}

base::Result<Json> parse_rule_text(std::string_view text) {
    auto rule = Reader(text).rule();
    if (!rule || to_rule_text(*rule) != text)
        return base::fail({"read a firewall rule", std::string(text), "it is not of the form that this build writes",
                           "plan again with this build"});
    return *std::move(rule);
}

Body& Body::is(std::string_view field, Json value) {
    statements_.push_back(
        {{"match",
          {{"op", plain_operator(field)}, {"left", left_of(*find_field(field))}, {"right", std::move(value)}}}});
    return *this;
}

Body& Body::any_of(std::string_view field, const std::vector<std::string>& names) {
    return is(field, names.size() == 1 ? Json(names.front()) : Json(names));
}

Body& Body::one_of(std::string_view field, const std::vector<Json>& values) {
    return is(field, values.size() == 1 ? values.front() : Json{{"set", values}});
}

Body& Body::count() {
    statements_.push_back({{"counter", nullptr}});
    return *this;
}

Body& Body::then(std::string_view verdict) {
    count();
    statements_.push_back({{verdict, nullptr}});
    return *this;
}

Body& Body::enter(std::string_view how, std::string_view chain) {
    statements_.push_back({{how, {{"target", chain}}}});
    return *this;
}

Json range(std::uint32_t first, std::uint32_t last) { return {{"range", Json::array({first, last})}}; }

Json network(std::string_view address, std::uint32_t prefix) {
    return {{"prefix", {{"addr", address}, {"len", prefix}}}};
}

}  // namespace safe::nftables
