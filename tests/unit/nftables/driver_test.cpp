#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/nftables/nftables_driver.hpp"
#include "plugins/nftables/ruleset.hpp"
#include "reconciler/planning/difference.hpp"
#include "tests/support/nftables/fake_connections.hpp"
#include "tests/support/nftables/fake_nft.hpp"
#include "tests/support/nftables/sample_spec.hpp"

namespace safe::nftables {
namespace {

using model::Absent;
using model::Change;
using model::Foreign;
using model::Mode;
using model::Presence;
using model::Present;
using model::ResourceId;
using model::Unknown;
using test::FakeNft;
using testing::HasSubstr;

model::Step step_of(const ResourceId& id, model::Action action = model::Action::add) {
    model::Step step;
    step.resource = id;
    step.action = action;
    step.verb = "do";
    return step;
}

class NftablesDriver : public testing::Test {
 protected:
    NftablesDriver() {
        auto fake = std::make_unique<FakeNft>();
        nft = fake.get();
        auto tracking = std::make_unique<test::FakeConnections>();
        connections = tracking.get();
        driver = make_driver({"atlas", networks_of(spec)}, std::move(fake), std::move(tracking));
    }

    model::Snapshot observe() { return driver->observe({{base_id, storage_id, open_id, locked_id}}, {}); }

    std::vector<Change> differences(Mode mode, const ResourceId& id) {
        const auto seen = observe().observations.at(id);
        const auto* present = std::get_if<Present>(&seen);
        return planning::difference(present ? present->attributes : model::Attributes{}, wanted(mode, id).attributes);
    }

    model::Resource wanted(Mode mode, const ResourceId& id) {
        for (const model::Resource& resource : driver->desire(spec, mode).resources)
            if (resource.id == id) return resource;
        throw std::runtime_error("not declared: " + to_text(id));
    }

    /// What the executor does in a world without other drivers.
    void converge(Mode mode) {
        for (const model::Resource& resource : driver->desire(spec, mode).resources) {
            const auto seen = observe().observations.at(resource.id);
            const auto* present = std::get_if<Present>(&seen);
            model::Step step = step_of(resource.id);
            if (resource.presence == Presence::absent) {
                if (present == nullptr) continue;
                step.action = model::Action::remove;
            } else if (present != nullptr) {
                if (present->attributes == resource.attributes) continue;
                step.action = model::Action::change;
            }
            const auto done = driver->apply(step, resource, seen, {});
            ASSERT_TRUE(done) << to_text(done.error());
            const auto after = observe().observations.at(resource.id);
            if (resource.presence == Presence::absent)
                EXPECT_TRUE(std::holds_alternative<Absent>(after));
            else
                EXPECT_EQ(std::get<Present>(after).attributes, resource.attributes);
        }
    }

    void run(std::string_view commands) {
        const auto done = nft->run(Json::parse(commands), Api::Run::commit);
        ASSERT_TRUE(done) << to_text(done.error());
    }

    ListedRule rule(std::string_view chain, std::string_view name) {
        const Table table = parse_table(nft->list("safe-atlas").value().value()).value();
        for (const ListedRule& listed : table.chain(chain)->rules)
            if (listed.rule.name == name) return listed;
        throw std::runtime_error("no rule " + std::string(name));
    }

    const ResourceId base_id = model::make_id(model::Kind::ruleset, "base");
    const ResourceId storage_id = model::make_id(model::Kind::ruleset, "storage");
    const ResourceId open_id = model::make_id(model::Kind::ruleset, "open");
    const ResourceId locked_id = model::make_id(model::Kind::ruleset, "locked");
    specs::SafeSpec spec = test::sample_spec();
    FakeNft* nft = nullptr;
    test::FakeConnections* connections = nullptr;
    std::unique_ptr<driver::Driver> driver;
};

TEST_F(NftablesDriver, StandsInEveryModeAndOpensOnlyInItsOwn) {
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked}) {
        EXPECT_EQ(wanted(mode, base_id).presence, Presence::present);
        EXPECT_EQ(wanted(mode, open_id).presence == Presence::present, mode == Mode::open);
        EXPECT_EQ(wanted(mode, locked_id).presence == Presence::present, mode == Mode::locked);
        EXPECT_EQ(wanted(mode, base_id).attributes, wanted(Mode::open, base_id).attributes);
        EXPECT_THAT(wanted(mode, base_id).needs, testing::IsEmpty());
        EXPECT_THAT(wanted(mode, open_id).needs, testing::ElementsAre(base_id));
        EXPECT_THAT(wanted(mode, open_id).after, testing::ElementsAre(model::make_id(model::Kind::power, "desktop"),
                                                                      model::make_id(model::Kind::power, "forge")));
        EXPECT_THAT(wanted(mode, locked_id).needs, testing::ElementsAre(base_id));
    }
}

TEST_F(NftablesDriver, GoesThroughTheModesAndFindsNothingLeftToDo) {
    EXPECT_TRUE(std::holds_alternative<Absent>(observe().observations.at(base_id)));
    for (const Mode mode : {Mode::closed, Mode::open, Mode::locked, Mode::open, Mode::closed}) {
        converge(mode);
        const int commits = nft->commits;
        converge(mode);
        EXPECT_EQ(nft->commits, commits);
        for (const ResourceId& id : {base_id, open_id, locked_id}) EXPECT_TRUE(differences(mode, id).empty());
    }
}

TEST_F(NftablesDriver, StandsWholeAfterOneTransaction) {
    const model::Resource base = wanted(Mode::closed, base_id);
    ASSERT_TRUE(driver->apply(step_of(base_id), base, Absent{}, {}));
    EXPECT_EQ(nft->commits, 1);
    EXPECT_TRUE(differences(Mode::closed, base_id).empty());
}

TEST_F(NftablesDriver, ChangingTheModeLeavesTheBaseAlone) {
    converge(Mode::closed);
    const auto handle = rule("base", "implied/default-drop").handle;
    const int commits = nft->commits;
    converge(Mode::open);
    EXPECT_EQ(nft->commits, commits + 1);
    EXPECT_EQ(rule("base", "implied/default-drop").handle, handle);
    converge(Mode::closed);
    EXPECT_EQ(nft->commits, commits + 2);
}

TEST_F(NftablesDriver, TheFirstOfTwoHundredRulesGoneIsOneDifference) {
    spec.firewall.clear();
    for (int i = 0; i < 200; ++i)
        spec.firewall.push_back(test::sample_rule("rule-" + std::to_string(i), "users", "desktop",
                                                  {"tcp/" + std::to_string(1000 + i), "udp/53"}));
    converge(Mode::open);
    spec.firewall.erase(spec.firewall.begin());
    const auto changes = differences(Mode::open, open_id);
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(model::to_text(changes[0].path), "rules.rule-0");
    EXPECT_EQ(changes[0].what, Change::What::remove);
    const auto handle = rule("open", "rule-1: udp/53").handle;
    converge(Mode::open);
    EXPECT_EQ(rule("open", "rule-1: udp/53").handle, handle);
}

TEST_F(NftablesDriver, ARuleRewrittenUnderItsOwnNameIsSeenAndPutBack) {
    converge(Mode::open);
    const ListedRule victim = rule("open", "users-to-desktop: tcp/22");
    const ListedRule neighbour = rule("open", "users-to-desktop: tcp/3389");
    nft->count_packet("safe-atlas", neighbour.handle);
    run(R"([{"replace": {"rule": {"family": "bridge", "table": "safe-atlas", "chain": "open", "handle": )" +
        std::to_string(victim.handle) +
        R"(, "comment": "users-to-desktop: tcp/22", "expr": [{"counter": null}, {"accept": null}]}}}])");
    const auto changes = differences(Mode::open, open_id);
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(model::to_text(changes[0].path), "rules.users-to-desktop.tcp/22");
    EXPECT_EQ(model::to_text(*changes[0].before), "counter accept");
    EXPECT_EQ(model::to_text(*changes[0].after), victim.rule.text);
    converge(Mode::open);
    EXPECT_EQ(rule("open", "users-to-desktop: tcp/22").rule.text, victim.rule.text);
    EXPECT_EQ(rule("open", "users-to-desktop: tcp/3389").handle, neighbour.handle);
    EXPECT_THAT(nft->list("safe-atlas").value()->dump(), HasSubstr(R"("packets":1)"));
}

TEST_F(NftablesDriver, EveryKindOfMeddlingIsSeenAndUndone) {
    const std::string table = R"("family": "bridge", "table": "safe-atlas")";
    const std::string accept = R"("expr": [{"accept": null}])";
    const std::map<std::string, std::string> meddlings{
        {"a rule without a name", R"({"insert": {"rule": {)" + table + R"(, "chain": "base", )" + accept + "}}}"},
        {"a name used twice",
         R"({"add": {"rule": {)" + table + R"(, "chain": "base", "comment": "implied/arp", )" + accept + "}}}"},
        {"a name that we give to strangers",
         R"({"add": {"rule": {)" + table + R"(, "chain": "base", "comment": "unknown/handle-1", )" + accept + "}}}"},
        {"another policy",
         R"({"add": {"chain": {)" + table +
             R"(, "name": "forward", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}})"},
        {"another chain", R"({"add": {"chain": {)" + table + R"(, "name": "evil"}}})"},
        {"a hook before ours",
         R"({"add": {"chain": {)" + table +
             R"(, "name": "evil", "type": "filter", "hook": "forward", "prio": -9, "policy": "drop"}}})"},
        {"rules in the chain that marks it",
         R"({"add": {"rule": {)" + table + R"(, "chain": "owned-by-safe", )" + accept + "}}}"},
        {"a set", R"({"add": {"set": {)" + table + R"(, "name": "spies", "type": "ipv4_addr"}}})"},
        {"everything flushed", R"({"flush": {"table": {"family": "bridge", "name": "safe-atlas"}}})"},
    };
    for (const auto& [what, command] : meddlings) {
        converge(Mode::closed);
        run("[" + command + "]");
        EXPECT_FALSE(differences(Mode::closed, base_id).empty()) << what;
        converge(Mode::closed);
        EXPECT_TRUE(differences(Mode::closed, base_id).empty()) << what;
    }
    nft->set_dormant("safe-atlas");
    EXPECT_FALSE(differences(Mode::closed, base_id).empty());
    converge(Mode::closed);
    EXPECT_TRUE(differences(Mode::closed, base_id).empty());
}

TEST_F(NftablesDriver, ARuleInTheChainOfAnotherModeIsRemovedWithIt) {
    converge(Mode::closed);
    run(R"([{"add": {"rule": {"family": "bridge", "table": "safe-atlas", "chain": "open", "expr": [{"accept": null}]}}}])");
    EXPECT_TRUE(std::holds_alternative<Present>(observe().observations.at(open_id)));
    converge(Mode::closed);
    EXPECT_TRUE(std::holds_alternative<Absent>(observe().observations.at(open_id)));
}

TEST_F(NftablesDriver, ATableWithoutOurMarkIsForeignAndStaysAsItIs) {
    run(R"([{"add": {"table": {"family": "bridge", "name": "safe-atlas"}}},
            {"add": {"chain": {"family": "bridge", "table": "safe-atlas", "name": "base"}}}])");
    const auto before = nft->list("safe-atlas").value();
    const model::Snapshot seen = observe();
    for (const ResourceId& id : {base_id, open_id, locked_id})
        EXPECT_TRUE(std::holds_alternative<Foreign>(seen.observations.at(id)));
    for (const model::Action action : {model::Action::add, model::Action::remove}) {
        const auto done =
            driver->apply(step_of(base_id, action), wanted(Mode::closed, base_id), seen.observations.at(base_id), {});
        ASSERT_FALSE(done);
        EXPECT_THAT(to_text(done.error()), HasSubstr("not ours"));
    }
    EXPECT_EQ(nft->list("safe-atlas").value(), before);
}

TEST_F(NftablesDriver, WhatCannotBeLookedAtIsUnknown) {
    converge(Mode::open);
    nft->down = base::Error{"list", "the tables of nftables", "Operation not permitted", "run as root"};
    const model::Snapshot seen = observe();
    ASSERT_TRUE(seen.enumeration_failed);
    for (const ResourceId& id : {base_id, open_id, locked_id})
        EXPECT_EQ(std::get<Unknown>(seen.observations.at(id)).error, *nft->down);
}

TEST_F(NftablesDriver, AKernelWithoutBridgeTrackingIsRefusedByName) {
    nft->cannot = [](const Json& expr) -> std::optional<std::string> {
        if (expr.dump().find("\"ct\"") == std::string::npos) return std::nullopt;
        return "Could not process rule: Protocol error";
    };
    const model::Snapshot seen = observe();
    ASSERT_EQ(seen.refusals.size(), 1U);
    EXPECT_EQ(seen.refusals[0].subject, "kernel: nf_conntrack_bridge");
    EXPECT_THAT(to_text(seen.refusals[0].error), HasSubstr("modprobe nf_conntrack_bridge"));
    EXPECT_THAT(to_text(seen.refusals[0].error), HasSubstr("CONFIG_NF_CONNTRACK_BRIDGE"));
    EXPECT_EQ(nft->commits, 0);
    // Nothing asked for, nothing refused.
    EXPECT_TRUE(driver->observe({}, {}).refusals.empty());
}

TEST_F(NftablesDriver, NobodyIsLetInBeforeTheVaultIsOpen) {
    specs::VolumeSpec vault;
    vault.name = "vault";
    vault.role.value = specs::VolumeRole::vault;
    spec.volumes.push_back(vault);
    EXPECT_THAT(wanted(Mode::open, open_id).needs,
                testing::ElementsAre(base_id, model::make_id(model::Kind::mount, "vault")));
}

TEST_F(NftablesDriver, WithoutANetworkTheFirewallIsTakenDown) {
    converge(Mode::open);
    spec.network.reset();
    spec.firewall.clear();
    EXPECT_TRUE(driver->desire(spec, Mode::open).resources.empty());
    const model::Snapshot seen = driver->observe({}, {});
    ASSERT_EQ(seen.observations.size(), 2U);  // base and open
    const auto& open = std::get<Present>(seen.observations.at(open_id));
    EXPECT_THAT(open.needs, testing::ElementsAre(base_id));
    EXPECT_EQ(driver->orphan(open_id, open, Mode::open), Presence::absent);
    for (const ResourceId& id : {open_id, base_id}) {
        const model::Resource gone{id};
        ASSERT_TRUE(driver->apply(step_of(id, model::Action::remove), gone, seen.observations.at(id), {}));
    }
    EXPECT_FALSE(nft->list("safe-atlas").value());
}

TEST_F(NftablesDriver, RulesWithoutANetworkAreRefused) {
    spec.network.reset();
    EXPECT_EQ(driver->desire(spec, Mode::open).refusals.size(), spec.firewall.size());
}

TEST_F(NftablesDriver, ImpliedRulesAreListsOfTheirOwnSoThatPlansShowThem) {
    const model::Resource base = wanted(Mode::closed, base_id);
    const model::Value* sources = base.attributes.find("rules/sources");
    ASSERT_TRUE(sources != nullptr && sources->branch() != nullptr && sources->branch()->ordered());
    EXPECT_EQ(sources->branch()->entries().front().key, "implied/no-vlan");
    EXPECT_NE(sources->branch()->find("implied/source/desktop"), nullptr);
    EXPECT_EQ(base.labels.at("implied/source/desktop"),
              "desktop sends from its own port, MAC and address 10.77.0.20 only");
    EXPECT_EQ(base.labels.at("users-to-desktop"), "users to desktop: tcp/3389, tcp/22");
}

TEST_F(NftablesDriver, StorageIsReachedWhileOpenOnceItsVolumesAreExported) {
    EXPECT_EQ(wanted(Mode::open, storage_id).presence, Presence::absent) << "nobody mounts anything";
    test::add_mounts(spec);
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked}) {
        EXPECT_EQ(wanted(mode, storage_id).presence == Presence::present, mode == Mode::open);
        EXPECT_THAT(wanted(mode, storage_id).needs,
                    testing::ElementsAre(base_id, model::make_id(model::Kind::exported, "data")))
            << "a volume that nobody mounts is not exported";
    }
    for (const Mode mode : {Mode::open, Mode::closed, Mode::open}) {
        converge(mode);
        EXPECT_TRUE(differences(mode, storage_id).empty());
    }
    const auto allow = driver->classify(model::Action::add, wanted(Mode::open, storage_id), Absent{}, {});
    EXPECT_EQ(allow.verb, "allow");
    EXPECT_EQ(allow.summary, "NFS: desktop, forge → hypervisor");
    const auto cut = driver->classify(model::Action::remove, wanted(Mode::closed, storage_id),
                                      observe().observations.at(storage_id), {});
    EXPECT_EQ(cut.verb, "cut");
    EXPECT_EQ(cut.summary, "NFS: desktop, forge → hypervisor");
}

std::vector<std::string> ends_of(const std::vector<Connection>& tracked) {
    std::vector<std::string> ends;
    ends.reserve(tracked.size());
    for (const Connection& one : tracked)
        ends.push_back(to_text(one.source) + " " + to_text(one.destination) + " " + std::to_string(one.port));
    return ends;
}

TEST_F(NftablesDriver, AConnectionIsForgottenWithItsRuleAndOthersAreNot) {
    converge(Mode::closed);
    converge(Mode::open);
    connections->tracked = {test::tcp_connection("10.78.0.9", "10.77.0.20", 22),
                            test::tcp_connection("10.78.0.9", "10.77.0.20", 3389),
                            test::tcp_connection("10.78.1.9", "10.77.0.4", 22),  // investigate, in every mode
                            test::tcp_connection("192.0.2.1", "192.0.2.2", 22)};
    converge(Mode::closed);
    EXPECT_THAT(ends_of(connections->tracked),
                testing::ElementsAre("10.78.1.9 10.77.0.4 22", "192.0.2.1 192.0.2.2 22"));
}

TEST_F(NftablesDriver, WhatIsLeftOfAnEarlierTimeIsForgottenBeforeItsRuleComesBack) {
    converge(Mode::closed);
    connections->tracked = {test::tcp_connection("10.78.0.9", "10.77.0.20", 22)};  // killed before it was forgotten
    converge(Mode::open);
    EXPECT_THAT(connections->tracked, testing::IsEmpty());
}

TEST_F(NftablesDriver, LockingForgetsWhatUsersHaveThroughRulesForEveryMode) {
    spec.firewall = {test::sample_rule("wide", "users", "records", {"tcp/22"}, specs::When::always),
                     test::sample_rule("investigate", "super-users", "records", {"tcp/22"}, specs::When::always)};
    converge(Mode::closed);
    connections->tracked = {test::tcp_connection("10.78.0.9", "10.77.0.4", 22),
                            test::tcp_connection("10.78.1.9", "10.77.0.4", 22)};
    converge(Mode::locked);
    EXPECT_THAT(ends_of(connections->tracked), testing::ElementsAre("10.78.1.9 10.77.0.4 22"));
}

TEST_F(NftablesDriver, ARuleThatLeavesTheFileTakesItsConnectionsAlong) {
    converge(Mode::open);
    connections->tracked = {test::tcp_connection("10.77.0.21", "192.0.2.80", 3128),
                            test::tcp_connection("10.78.0.9", "10.77.0.21", 443)};
    std::erase_if(spec.firewall, [](const specs::RuleSpec& rule) { return rule.name == "updates"; });
    converge(Mode::open);
    EXPECT_THAT(ends_of(connections->tracked), testing::ElementsAre("10.78.0.9 10.77.0.21 443"));
}

TEST_F(NftablesDriver, ItsStepsReadWell) {
    const model::Resource base = wanted(Mode::closed, base_id);
    const auto install = driver->classify(model::Action::add, base, Absent{}, {});
    EXPECT_EQ(install.verb, "install");
    EXPECT_THAT(install.summary, testing::MatchesRegex("[0-9]+ rules"));
    EXPECT_EQ(install.disruption, model::Disruption::none);
    const std::vector<Change> one(1);
    EXPECT_EQ(driver->classify(model::Action::change, base, Absent{}, one).disruption, model::Disruption::live);
    EXPECT_EQ(driver->classify(model::Action::change, base, Absent{}, one).summary, "1 difference");
    converge(Mode::open);
    const auto cut =
        driver->classify(model::Action::remove, wanted(Mode::closed, open_id), observe().observations.at(open_id), {});
    EXPECT_EQ(cut.verb, "cut");
    EXPECT_EQ(cut.summary, "4 rules");  // three of the file, and the one that counts
    EXPECT_EQ(cut.disruption, model::Disruption::none);
}

}  // namespace
}  // namespace safe::nftables
