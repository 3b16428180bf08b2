// The directory case in small, with a real guest: an account can only be looked at while the guest that keeps it lives.
// A guest "lives" when its console has told so since it was started. SAFE_DEFERRAL_SPEC names a spec with a VM called
// gateway.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "plugins/builtin.hpp"
#include "reconciler/applying/rounds.hpp"
#include "specs/loader.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::testing {
namespace {

namespace fs = std::filesystem;
using model::Kind;
using model::make_id;

/// Accounts kept by a guest: unknown while it does not live, and then absent until they are added.
class GuestAccounts final : public driver::Driver {
 public:
    explicit GuestAccounts(fs::path console) : console_(std::move(console)) {}

    [[nodiscard]] std::span<const Kind> kinds() const override { return kinds_; }
    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& /*spec*/, model::Mode /*mode*/) const override {
        return {.resources = {{.id = bob_, .presence = model::Presence::present, .attributes = {}, .needs = {guest_}}},
                .refusals = {}};
    }
    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        for (const model::ResourceId& id : scope.ids) snapshot.observations.emplace(id, see());
        return snapshot;
    }
    [[nodiscard]] model::Assessment classify(model::Action /*action*/, const model::Resource& /*resource*/,
                                             const model::Observation& /*observed*/,
                                             std::span<const model::Change> /*changes*/) const override {
        return {.verb = "create", .summary = "an account in the guest"};
    }
    [[nodiscard]] model::Presence orphan(const model::ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        return model::Presence::absent;
    }
    [[nodiscard]] base::Result<void> apply(const model::Step& step, const model::Resource& /*resource*/,
                                           const model::Observation& /*observed*/,
                                           const driver::Context& /*context*/) override {
        if (!lives()) return base::fail({step.verb, to_text(bob_), "the guest does not live", ""});
        added_ = true;
        return {};
    }
    [[nodiscard]] int deferrals() const { return deferrals_; }

 private:
    bool lives() const {
        std::ifstream console(console_);
        for (std::string line; std::getline(console, line);)
            if (line.starts_with("heartbeat")) return true;
        return false;
    }
    model::Observation see() {
        if (!lives()) {
            ++deferrals_;
            return model::Deferred{guest_, {"look for", to_text(bob_), "the guest does not answer yet"}};
        }
        return added_ ? model::Observation(model::Present{.attributes = {}, .needs = {guest_}}) : model::Absent{};
    }

    const std::array<Kind, 1> kinds_{Kind::account};
    const model::ResourceId bob_ = make_id(Kind::account, "bob");
    const model::ResourceId guest_ = make_id(Kind::power, "gateway");
    fs::path console_;
    std::atomic<bool> added_ = false;
    std::atomic<int> deferrals_ = 0;
};

TEST(Deferral, ApplyBringsTheGuestUpAndReachesWhatItKeepsInASecondRound) {
    const char* file = std::getenv("SAFE_DEFERRAL_SPEC");
    ASSERT_NE(file, nullptr);
    specs::Loaded loaded = specs::load_file(file);
    ASSERT_TRUE(loaded.spec.has_value());
    const fs::path state = "/var/lib/safe/" + *loaded.spec->safe;
    fs::create_directories(state);

    const driver::KeyRing no_key;
    auto drivers = plugins::make_drivers({*loaded.spec, driver::Places(*loaded.spec->safe, state), no_key});
    auto accounts = std::make_unique<GuestAccounts>(state / "logs" / "gateway.log");
    const GuestAccounts& watched = *accounts;
    drivers.push_back(std::move(accounts));
    applying::DriverSet set(std::move(drivers));
    const applying::Goal goal{.spec = *loaded.spec, .mode = model::Mode::closed};

    applying::Planned first = applying::look_and_plan(goal, set, {});
    ASSERT_EQ(first.plan.deferred.size(), 1U);
    EXPECT_EQ(to_text(*first.plan.deferred[0].on), "power/gateway");
    EXPECT_TRUE(std::ranges::none_of(first.plan.steps,
                                     [](const model::Step& step) { return step.resource.kind == Kind::account; }));

    auto journal = applying::Journal::open(state / "journal.jsonl");
    ASSERT_TRUE(journal.has_value());
    applying::Listener silent;
    const model::Report report = applying::apply(
        goal, std::move(first), {.drivers = set, .journal = *journal, .listener = silent, .stop = {}}, {});
    for (const model::Outcome& outcome : report.outcomes)
        if (outcome.error) ADD_FAILURE() << to_text(*outcome.error);
    EXPECT_EQ(report.rounds, 2);
    EXPECT_TRUE(report.remaining.steps.empty());
    EXPECT_TRUE(report.remaining.deferred.empty());
    EXPECT_EQ(to_text(report.outcomes.back().resource), "account/bob");
    EXPECT_GT(watched.deferrals(), 1) << "the guest needs seconds to boot: it must have been waited for";
}

}  // namespace
}  // namespace safe::testing
