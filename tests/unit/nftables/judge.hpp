// What a compiled firewall does to one frame: the rules of a hook are gone through as the kernel would. A frame is the
// values of the fields that it has, by their names in rule text.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

#include "plugins/nftables/compile.hpp"
#include "plugins/nftables/rule_text.hpp"
#include "specs/values.hpp"

namespace safe::test {

using Frame = std::map<std::string, std::string>;

class Judge {
 public:
    Judge(const nftables::Firewall& firewall, model::Mode mode) {
        for (const nftables::Chain& chain : firewall.base) add(chain);
        if (mode == model::Mode::open) {
            add(firewall.storage);
            add(firewall.open);
        }
        if (mode == model::Mode::locked) add(firewall.locked);
    }

    /// Through prerouting and then `hook`; the name of the rule that decided, with "accept " or "drop " before it.
    [[nodiscard]] std::string through(const std::string& hook, const Frame& frame) const {
        if (hook != "output") {
            const std::string source = verdict("prerouting", frame);
            if (source.starts_with("drop")) return source;
        }
        return verdict(hook, frame);
    }

 private:
    using Json = nftables::Json;

    void add(const nftables::Chain& chain) { chains_[chain.name] = chain; }

    [[nodiscard]] std::string verdict(const std::string& hook, const Frame& frame) const {
        const std::string decided = walk(hook, frame);
        return decided.empty() ? chains_.at(hook).hook->policy + " by policy" : decided;
    }

    [[nodiscard]] std::string walk(const std::string& name, const Frame& frame) const {
        for (const nftables::Rule& rule : chains_.at(name).rules) {
            const Json body = nftables::parse_rule_text(rule.text).value();
            bool matched = true;
            for (const Json& statement : body) {
                const std::string& kind = statement.begin().key();
                const Json& inner = statement.begin().value();
                if (kind == "match") {
                    matched = matches(inner, frame);
                    if (!matched) break;
                } else if (kind == "accept" || kind == "drop") {
                    return kind + " " + rule.name;
                } else if (kind == "jump" || kind == "goto") {
                    std::string inside = walk(inner["target"], frame);
                    if (!inside.empty() || kind == "goto") return inside;
                }
            }
        }
        return {};
    }

    static bool matches(const Json& match, const Frame& frame) {
        const std::string text = nftables::to_rule_text(Json::array({{{"match", match}}}));
        const auto field =
            std::ranges::find_if(frame, [&](const auto& one) { return text.starts_with(one.first + " "); });
        return field != frame.end() && among(match["right"], field->second);
    }

    static bool among(const Json& value, const std::string& actual) {
        if (value.is_array() || (value.is_object() && value.contains("set"))) {
            const Json& list = value.is_array() ? value : value["set"];
            return std::ranges::any_of(list, [&](const Json& one) { return among(one, actual); });
        }
        if (value.is_object() && value.contains("prefix")) {
            const auto text =
                fmt::format("{}/{}", value["prefix"]["addr"].get<std::string>(), value["prefix"]["len"].get<int>());
            return specs::parse_network(text).value().contains(specs::parse_ipv4(actual).value());
        }
        if (value.is_object() && value.contains("range")) {
            const int number = std::stoi(actual);
            return value["range"][0] <= number && number <= value["range"][1];
        }
        return value.is_string() ? value == actual : value.dump() == actual;
    }

    std::map<std::string, nftables::Chain> chains_;
};

}  // namespace safe::test
