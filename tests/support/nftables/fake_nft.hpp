// An nftables in memory: tables, chains and rules of family bridge with handles, all or nothing, listed the way
// libnftables 1.0.6 does. tests/contract/nftables holds it to what the kernel does. Not for more than one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "plugins/nftables/nftables_api.hpp"

namespace safe::test {

class FakeNft final : public nftables::Api {
 public:
    using Json = nftables::Json;

    /// Says of a rule's body why this kernel cannot take it; nullopt when it can.
    std::function<std::optional<std::string>(const Json& expr)> cannot = nullptr;
    /// Every call fails with this while it is set.
    std::optional<base::Error> down = std::nullopt;
    int commits = 0;

    base::Result<std::optional<Json>> list(const std::string& table) override {
        if (down) return base::fail(*down);
        const auto found = state_.tables.find(table);
        if (found == state_.tables.end()) return std::nullopt;
        Json out = Json::array({{{"table", {{"family", "bridge"}, {"name", table}, {"handle", 1}}}}});
        if (found->second.flagged) out[0]["table"]["flags"] = "1.0.6";
        for (const Json& object : found->second.objects) out.push_back(object);
        for (const auto& [name, chain] : found->second.chains) out.push_back({{"chain", chain.properties}});
        for (const auto& [name, chain] : found->second.chains)
            for (const Json& rule : chain.rules) out.push_back({{"rule", rule}});
        return out;
    }

    base::Result<void> run(const Json& commands, Run how) override {
        if (down) return base::fail(*down);
        State before = state_;
        try {
            for (const Json& command : commands) {
                const std::string& verb = command.begin().key();
                const Json& object = command.begin().value();
                const std::string& kind = object.begin().key();
                const Json& inner = object.begin().value();
                carry_out(verb, kind, inner);
            }
        } catch (const std::exception& refused) {
            state_ = std::move(before);
            return base::fail({"carry out", "a transaction of nftables", refused.what(), "look"});
        }
        if (how == Run::check)
            state_ = std::move(before);
        else
            ++commits;
        return {};
    }

    /// As `add table … { flags dormant; }` does, which libnftables 1.0.6 has no JSON for.
    void set_dormant(const std::string& table) { state_.tables.at(table).flagged = true; }
    /// The body of the rule with this handle, as the kernel would count a packet in it.
    void count_packet(const std::string& table, std::uint64_t handle) {
        for (auto& [name, chain] : state_.tables.at(table).chains)
            for (Json& rule : chain.rules)
                if (rule["handle"] == handle)
                    for (Json& statement : rule["expr"])
                        if (statement.contains("counter"))
                            statement["counter"]["packets"] = statement["counter"]["packets"].get<int>() + 1;
    }

 private:
    struct Chain {
        Json properties;
        std::vector<Json> rules;
    };
    struct Table {
        std::map<std::string, Chain> chains;
        std::vector<Json> objects;
        bool flagged = false;
    };
    struct State {
        std::map<std::string, Table> tables;
        std::uint64_t next_handle = 1;
    };

    static Json listed_value(const Json& value) {
        if (value.is_object() && value.contains("set") && value["set"].size() == 1) return value["set"][0];
        return value;
    }

    Json listed_rule(const Json& rule) {
        Json listed = rule;
        listed["handle"] = state_.next_handle++;
        for (Json& statement : listed["expr"]) {
            if (statement.contains("counter")) statement["counter"] = {{"packets", 0}, {"bytes", 0}};
            if (statement.contains("match")) statement["match"]["right"] = listed_value(statement["match"]["right"]);
        }
        if (cannot)
            if (const auto reason = cannot(listed["expr"])) throw std::runtime_error(*reason);
        return listed;
    }

    static void no_entry() { throw std::runtime_error("Could not process rule: No such file or directory"); }

    Table& table_of(const Json& object, const char* key) {
        const auto found = state_.tables.find(object.at(key));
        if (found == state_.tables.end()) no_entry();
        return found->second;
    }
    static Chain& chain_of(Table& table, const Json& object, const char* key) {
        const auto found = table.chains.find(object.at(key));
        if (found == table.chains.end()) no_entry();
        return found->second;
    }

    void carry_out(const std::string& verb, const std::string& kind, const Json& object) {
        if (kind == "table")
            on_table(verb, object);
        else if (kind == "chain")
            on_chain(verb, object);
        else if (kind == "rule")
            on_rule(verb, object);
        else
            on_object(verb, kind, object);
    }

    void on_table(const std::string& verb, const Json& object) {
        if (verb == "add") {
            state_.tables[object.at("name")].flagged = false;
        } else if (verb == "flush") {
            for (auto& [name, chain] : table_of(object, "name").chains) chain.rules.clear();
        } else {
            static_cast<void>(table_of(object, "name"));
            state_.tables.erase(object.at("name").get<std::string>());
        }
    }

    void on_chain(const std::string& verb, const Json& object) {
        Table& table = table_of(object, "table");
        const std::string name = object.at("name");
        if (verb == "add") {
            const auto [found, fresh] = table.chains.try_emplace(name);
            if (fresh) {
                found->second.properties = object;
                found->second.properties["handle"] = state_.next_handle++;
            } else if (object.contains("policy")) {
                found->second.properties["policy"] = object["policy"];
            }
            return;
        }
        Chain& chain = chain_of(table, object, "name");
        if (verb == "flush") {
            chain.rules.clear();
            return;
        }
        for (const auto& [other, there] : table.chains)
            for (const Json& rule : there.rules)
                for (const Json& statement : rule["expr"])
                    for (const char* jump : {"jump", "goto"})
                        if (statement.contains(jump) && statement[jump]["target"] == name)
                            throw std::runtime_error("Could not process rule: Device or resource busy");
        table.chains.erase(name);
    }

    void on_rule(const std::string& verb, const Json& object) {
        Table& table = table_of(object, "table");
        std::vector<Json>& rules = chain_of(table, object, "chain").rules;
        auto place = rules.end();
        if (object.contains("handle")) {
            place = std::ranges::find_if(rules, [&](const Json& rule) { return rule["handle"] == object["handle"]; });
            if (place == rules.end()) no_entry();
        }
        if (verb == "delete") {
            rules.erase(place);
            return;
        }
        for (const Json& statement : object.at("expr"))
            for (const char* jump : {"jump", "goto"})
                if (statement.contains(jump) && !table.chains.contains(statement[jump]["target"])) no_entry();
        Json listed = listed_rule(object);
        if (verb == "replace")
            *place = std::move(listed);
        else if (verb == "insert")
            rules.insert(object.contains("handle") ? place : rules.begin(), std::move(listed));
        else
            rules.insert(object.contains("handle") ? std::next(place) : place, std::move(listed));
    }

    void on_object(const std::string& verb, const std::string& kind, const Json& object) {
        std::vector<Json>& objects = table_of(object, "table").objects;
        if (verb == "add") {
            objects.push_back({{kind, object}});
            return;
        }
        const auto gone = std::erase_if(objects, [&](const Json& there) {
            return there.contains(kind) && there[kind]["name"] == object.at("name");
        });
        if (gone == 0) no_entry();
    }

    State state_;
};

}  // namespace safe::test
