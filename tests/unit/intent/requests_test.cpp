// Who may ask for what.
#include "reconciler/intent/requests.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/intent/times.hpp"

namespace safe::intent {
namespace {

using test::at;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

specs::SafeSpec spec(specs::WantedMode mode = specs::WantedMode::automatic) {
    specs::SafeSpec spec;
    spec.safe.value = "atlas";
    spec.mode.value = mode;
    for (const auto& [name, super] : {std::pair{"alice", true}, {"bob", false}, {"carol", false}}) {
        specs::UserSpec user;
        user.name = name;
        user.super.value = super;
        spec.users.push_back(user);
    }
    return spec;
}

template <class T>
std::string why(const base::Result<T>& refused) {
    if (refused) return "it is let through";
    EXPECT_EQ(refused.error().kind, base::Error::Kind::refused);
    EXPECT_NE(refused.error().advice, "");
    return refused.error().cause;
}

TEST(MayOpen, WhoIsKnownAndNothingHoldsAgainst) {
    EXPECT_TRUE(may_open(spec(), {}, "bob", at(0s)));
    EXPECT_TRUE(may_open(spec(specs::WantedMode::open), {}, "bob", at(0s)));
    EXPECT_THAT(why(known_user(spec(), "mallory")), HasSubstr("no such user"));
    for (const char* user : {"alice", "bob"}) {
        Snapshot locked;
        locked.lock = Lock{"alice", "odd logins", at(0s).wall};
        EXPECT_THAT(why(may_open(spec(), locked, user, at(0s))), HasSubstr("locked by alice: odd logins"));
        EXPECT_THAT(why(may_open(spec(specs::WantedMode::closed), {}, user, at(0s))), HasSubstr("mode: closed"));
        EXPECT_THAT(why(may_open(spec(specs::WantedMode::locked), {}, user, at(0s))), HasSubstr("mode: locked"));
        EXPECT_FALSE(may_open(spec(), locked, user, at(0s), true)) << "a lock is no hold";
    }
    Snapshot held;
    held.hold = Hold{"this-boot", 1300s};
    EXPECT_THAT(why(may_open(spec(), held, "bob", at(299s))), HasSubstr("closed a moment ago"));
    EXPECT_TRUE(may_open(spec(), held, "bob", at(299s), true)) << "asked for in so many words";
    EXPECT_TRUE(may_open(spec(), held, "bob", at(300s)));
    EXPECT_TRUE(may_open(spec(), held, "bob", at(0s, "next-boot")));
}

TEST(Tasks, AreOfMembersAndOfBoundedLength) {
    const auto add = [](const std::string& name, const std::string& owner, std::chrono::seconds length) {
        return new_task(spec(), {}, name, owner, length, at(0s));
    };
    EXPECT_EQ(*add("backup", "bob", 6h), (Task{"backup", "bob", at(0s).wall, at(6h).wall}));
    EXPECT_TRUE(add("backup", "bob", 168h));
    EXPECT_TRUE(add("backup", "bob", 60s));
    EXPECT_THAT(why(add("backup", "bob", 168h + 1s)), HasSubstr("7 days"));
    EXPECT_THAT(why(add("backup", "bob", 59s)), HasSubstr("less than a minute"));
    EXPECT_THAT(why(add("backup", "mallory", 6h)), HasSubstr("no such user"));
    for (const std::string& name : {std::string(), std::string("-x"), std::string("a b"), std::string("a\nb"),
                                    std::string("A"), std::string("a/b"), std::string(64, 'a'), std::string("é")})
        EXPECT_THAT(why(add(name, "bob", 6h)), HasSubstr("no name")) << name;
    EXPECT_TRUE(add(std::string(63, 'a'), "bob", 6h));
}

TEST(Tasks, AreExtendedByTheirOwnerAlone) {
    Snapshot intent;
    intent.tasks = {{"backup", "bob", at(0s).wall, at(6h).wall}};
    const auto again = [&](const std::string& owner, std::chrono::seconds length, const Now& now) {
        return new_task(spec(), intent, "backup", owner, length, now);
    };
    EXPECT_EQ(*again("bob", 6h, at(1h)), (Task{"backup", "bob", at(0s).wall, at(7h).wall}));
    EXPECT_THAT(why(again("bob", 1h, at(1h))), HasSubstr("runs until 2026-11-25T06:00:00Z already"));
    EXPECT_THAT(why(again("carol", 6h, at(1h))), HasSubstr("it is bob's"));
    EXPECT_THAT(why(again("alice", 6h, at(1h))), HasSubstr("it is bob's"));
    EXPECT_EQ(*again("carol", 1h, at(6h)), (Task{"backup", "carol", at(6h).wall, at(7h).wall})) << "bob's is over";
    EXPECT_EQ(running_tasks(intent, at(5h)), std::vector<std::string>{"backup"});
    EXPECT_TRUE(running_tasks(intent, at(6h)).empty());
}

TEST(Tasks, AreCancelledByTheirOwnerOrASuperUser) {
    Snapshot intent;
    intent.tasks = {{"backup", "bob", at(0s).wall, at(6h).wall}};
    EXPECT_TRUE(may_cancel(spec(), intent, "backup", "bob"));
    EXPECT_TRUE(may_cancel(spec(), intent, "backup", "alice"));
    EXPECT_THAT(why(may_cancel(spec(), intent, "backup", "carol")), HasSubstr("it is bob's"));
    EXPECT_THAT(why(may_cancel(spec(), intent, "backup", "root")), HasSubstr("no such user")) << "root is no member";
    EXPECT_THAT(why(may_cancel(spec(), intent, "other", "bob")), HasSubstr("none of that name"));
}

TEST(SuperUsers, AreThoseOfTheSpec) {
    EXPECT_TRUE(known_super_user(spec(), "alice"));
    EXPECT_THAT(why(known_super_user(spec(), "bob")), HasSubstr("no super-user"));
    EXPECT_THAT(why(known_super_user(spec(), "root")), HasSubstr("no such user"));
}

TEST(Length, IsOneNumberAndOneUnit) {
    EXPECT_EQ(*parse_length("45s"), 45s);
    EXPECT_EQ(*parse_length("90m"), 90min);
    EXPECT_EQ(*parse_length("8h"), 8h);
    EXPECT_EQ(*parse_length("2d"), 48h);
    for (const char* wrong : {"", "8", "h", "-8h", "0h", "8 h", "8hh", "8h30m", "1e3s", "+8h", "9999999999999999999h",
                              "999999999999d", "8H", "8w"})
        EXPECT_FALSE(parse_length(wrong)) << wrong;
}

}  // namespace
}  // namespace safe::intent
