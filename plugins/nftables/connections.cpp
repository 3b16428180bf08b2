#include "plugins/nftables/connections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

#include "plugins/nftables/rule_text.hpp"

namespace safe::nftables {
namespace {

constexpr std::uint8_t icmp_protocol = 1;
constexpr std::uint8_t tcp_protocol = 6;
constexpr std::uint8_t udp_protocol = 17;

/// "10.77.0.20" or {"prefix": {"addr": "10.78.0.0", "len": 24}}; nullopt for anything else, which then is anything.
std::optional<specs::Cidr> read_addresses(const Json& value) {
    if (value.is_string()) {
        const auto address = specs::parse_ipv4(value.get<std::string>());
        return address ? std::optional(specs::Cidr{*address, specs::Cidr::host}) : std::nullopt;
    }
    if (!value.is_object() || !value.contains("prefix")) return std::nullopt;
    const Json& prefix = value["prefix"];
    const auto network =
        specs::parse_network(fmt::format("{}/{}", prefix.value("addr", std::string()), prefix.value("len", 0)));
    return network ? std::optional(*network) : std::nullopt;
}

void read_ports(const Json& value, Flow& flow) {
    const auto set = [&](const Json& first, const Json& last) {
        if (!first.is_number_unsigned() || !last.is_number_unsigned()) return;
        constexpr std::uint64_t highest = std::numeric_limits<std::uint16_t>::max();
        if (first.get<std::uint64_t>() > highest || last.get<std::uint64_t>() > highest) return;
        flow.first_port = first.get<std::uint16_t>();
        flow.last_port = last.get<std::uint16_t>();
    };
    if (value.is_object() && value.contains("range") && value["range"].size() == 2)
        set(value["range"][0], value["range"][1]);
    else
        set(value, value);
}

/// One match after the other; `reply` rules describe the way back.
class Reader {
 public:
    /// false: the rule is about something else than connections of IPv4.
    bool take(const Json& statement) {
        if (statement.contains("accept") || statement.contains("drop")) verdict_ = true;
        if (!statement.contains("match")) return true;
        const Json& match = statement["match"];
        const std::string text = to_rule_text(Json::array({statement}));
        const auto field_is = [&](std::string_view field) { return text.starts_with(std::string(field) + " "); };
        const Json& value = match.at("right");
        if (text.starts_with("arp ") || field_is("ether type") || text == "ct state related") return false;
        if (text == "ct direction reply") reply_ = true;
        if (field_is("ip saddr")) flow_.source = read_addresses(value);
        if (field_is("ip daddr")) flow_.destination = read_addresses(value);
        if (field_is("icmp type")) flow_.protocol = icmp_protocol;
        for (const auto& [name, number] : {std::pair("tcp", tcp_protocol), std::pair("udp", udp_protocol)})
            for (const std::string_view port : {"dport", "sport"})
                if (field_is(fmt::format("{} {}", name, port))) {
                    flow_.protocol = number;
                    read_ports(value, flow_);
                }
        return true;
    }

    [[nodiscard]] std::optional<Flow> flow() {
        if (!verdict_) return std::nullopt;
        if (reply_) std::swap(flow_.source, flow_.destination);
        return flow_;
    }

 private:
    Flow flow_;
    bool verdict_ = false;
    bool reply_ = false;
};

bool drops(const Rule& rule) { return rule.text == "drop" || rule.text.ends_with(" drop"); }

using Texts = std::set<std::string_view>;

}  // namespace

bool matches(const Flow& flow, const Connection& connection) {
    return (!flow.source || flow.source->contains(connection.source)) &&
           (!flow.destination || flow.destination->contains(connection.destination)) &&
           (!flow.protocol || *flow.protocol == connection.protocol) &&
           (!flow.first_port || !flow.last_port ||
            (*flow.first_port <= connection.port && connection.port <= *flow.last_port));
}

std::optional<Flow> flow_of(const Rule& rule) {
    // A rule that nobody of ours has written may have been about anything.
    const auto body = parse_rule_text(rule.text);
    if (!body) return Flow{};
    Reader reader;
    for (const Json& statement : *body)
        if (!reader.take(statement)) return std::nullopt;
    return reader.flow();
}

Turn turn_of(const Table* there, const std::vector<Chain>& wanted, bool whole_table) {
    Turn turn;
    const auto add = [](std::vector<Flow>& to, const Rule& rule) {
        const auto flow = flow_of(rule);
        if (flow && std::ranges::find(to, *flow) == to.end()) to.push_back(*flow);
    };
    std::set<std::string_view> names;
    for (const Chain& chain : wanted) {
        names.insert(chain.name);
        if (whole_table && is_mode_chain(chain.name)) continue;
        const ListedChain* listed = there != nullptr ? there->chain(chain.name) : nullptr;
        Texts had;
        Texts has;
        for (const Rule& rule : chain.rules) has.insert(rule.text);
        if (listed != nullptr)
            for (const ListedRule& one : listed->rules) {
                had.insert(one.rule.text);
                if (!has.contains(one.rule.text) && !drops(one.rule)) add(turn.after, one.rule);
            }
        for (const Rule& rule : chain.rules)
            if (!had.contains(rule.text)) add(drops(rule) ? turn.after : turn.before, rule);
    }
    if (!whole_table || there == nullptr) return turn;
    for (const ListedChain& chain : there->chains)
        if (!names.contains(chain.name))
            for (const ListedRule& one : chain.rules)
                if (!drops(one.rule)) add(turn.after, one.rule);
    return turn;
}

}  // namespace safe::nftables
