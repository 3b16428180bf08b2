// Which failures close a safe again, and which leave it open, degraded.
#include "reconciler/applying/opening.hpp"

#include <gtest/gtest.h>

namespace safe::applying {
namespace {

using model::Kind;
using model::make_id;
using model::Outcome;
using model::Report;
using model::ResourceId;

Report failed(const ResourceId& id, bool still_to_do) {
    Report report;
    report.outcomes.push_back({id, model::Action::add, "bring up", Outcome::What::failed, std::nullopt});
    if (!still_to_do) return report;
    report.remaining.steps.emplace_back();
    report.remaining.steps.back().resource = id;
    return report;
}

TEST(Opening, GoesBackWhenTheGroundIsMissing) {
    for (const Kind kind : {Kind::session, Kind::container, Kind::mapping, Kind::mount, Kind::exported})
        EXPECT_TRUE(must_close_again(failed(make_id(kind, "vault"), true))) << to_text(kind);
    EXPECT_TRUE(must_close_again(failed(make_id(Kind::ruleset, "base"), true)));
    EXPECT_TRUE(must_close_again(failed(make_id(Kind::ruleset, "storage"), true)));
}

TEST(Opening, GoesOnWithoutAGuestOrARule) {
    EXPECT_FALSE(must_close_again(failed(make_id(Kind::power, "desktop"), true)));
    EXPECT_FALSE(must_close_again(failed(make_id(Kind::ruleset, "open"), true)));
}

TEST(Opening, WhatALaterRoundMendedIsNoFailure) {
    EXPECT_FALSE(must_close_again(failed(make_id(Kind::mount, "vault"), false)));
}

TEST(Opening, GoesBackWhenItIsRefusedHalfWay) {
    Report report;
    report.remaining.refusals.push_back({"container/data", {"take over", "container/data", "it is blank"}});
    EXPECT_FALSE(must_close_again(report)) << "all that can be opened is open";
    Report blocked = report;
    blocked.remaining.blocked.push_back({make_id(Kind::mapping, "data"), {"unlock", "mapping/data", "not settled"}});
    EXPECT_TRUE(must_close_again(blocked));
    report.remaining.steps.emplace_back();
    report.remaining.steps.back().resource = make_id(Kind::mapping, "vault");
    EXPECT_TRUE(must_close_again(report));
}

TEST(Opening, GoesBackWhenTheGroundCannotBeSeenOrDoesNotCome) {
    for (std::vector<model::Held> model::Plan::* held :
         {&model::Plan::unknown, &model::Plan::blocked, &model::Plan::deferred}) {
        Report report;
        (report.remaining.*held)
            .push_back({make_id(Kind::power, "desktop"), {"look at", "power/desktop", "no answer"}});
        (report.remaining.*held).push_back({make_id(Kind::ruleset, "open"), {"look at", "ruleset/open", "no answer"}});
        EXPECT_FALSE(must_close_again(report));
        (report.remaining.*held).push_back({make_id(Kind::mapping, "vault"), {"look at", "mapping/vault", "no disk"}});
        EXPECT_TRUE(must_close_again(report));
    }
}

}  // namespace
}  // namespace safe::applying
