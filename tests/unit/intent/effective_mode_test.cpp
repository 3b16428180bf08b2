// The whole table of operations.md, every combination of everything that it depends on.
#include "reconciler/intent/effective_mode.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/unit/intent/times.hpp"

namespace safe::intent {
namespace {

using model::Mode;
using specs::WantedMode;
using test::at;
using namespace std::chrono_literals;

/// Lingers 30 s.
specs::SafeSpec safe(WantedMode wanted, const std::vector<std::string>& users = {}) {
    specs::SafeSpec spec;
    spec.mode.value = wanted;
    spec.linger.value.seconds = 30;
    for (const std::string& name : users) spec.users.emplace_back().name = name;
    return spec;
}

struct Case {
    const char* name;
    bool wants_open;
    Session session;
};

Session session(BootTime renewed) { return {"gateway", "1", "alice", "this-boot", renewed}; }
Session with(Session session, std::optional<BootTime> until, std::optional<BootTime> ended) {
    session.until = until;
    session.ended = ended;
    return session;
}
Session of_boot(Session session, const char* boot) {
    session.boot = boot;
    return session;
}

/// Seen at 1000 s after boot. A lease is 60 s, linger 30 s.
const std::array sessions{
    Case{"renewed just now", true, session(1000s)},
    Case{"renewed 59 s ago", true, session(941s)},
    Case{"not renewed for 60 s, but lingers", true, session(940s)},
    Case{"not renewed for 89 s, and still lingers", true, session(911s)},
    Case{"not renewed for 90 s: no more", false, session(910s)},
    Case{"left just now", true, with(session(995s), {}, 1000s)},
    Case{"left 29 s ago", true, with(session(970s), {}, 971s)},
    Case{"left 30 s ago", false, with(session(970s), {}, 970s)},
    Case{"a local one of eight hours, not renewed", true, with(session(1s), 28800s, {})},
    Case{"a local one that has just run out, and lingers", true, with(session(1s), 1000s, {})},
    Case{"a local one that ran out 30 s ago", false, with(session(1s), 970s, {})},
    Case{"a local one that was ended early", false, with(session(1s), 28800s, 900s)},
    Case{"of the boot before", false, of_boot(session(1000s), "that-boot")},
    Case{"of the boot before, local", false, of_boot(with(session(1s), 28800s, {}), "that-boot")},
    Case{"left in the boot before", false, of_boot(with(session(995s), {}, 1000s), "that-boot")},
};

TEST(EffectiveMode, OverEveryCombination) {
    int tried = 0;
    const Now now = at(0s);
    // Sessions are alice's and tasks bob's. A spec without users knows nobody's name, and so counts everybody.
    const std::vector<std::vector<std::string>> rosters{{}, {"alice", "bob"}, {"alice"}, {"bob"}, {"carol"}};
    for (const WantedMode wanted : {WantedMode::automatic, WantedMode::open, WantedMode::closed, WantedMode::locked})
        for (const auto& users : rosters)
            for (const bool locked : {false, true})
                for (const bool held : {false, true})
                    for (const int task : {0, 1, 2})  // none, overdue by nothing, running
                        for (std::size_t some = 0; some <= sessions.size(); ++some) {
                            const auto counts = [&](const char* name) {
                                return users.empty() || std::ranges::find(users, name) != users.end();
                            };
                            Snapshot intent;
                            bool wants_open = task == 2 && counts("bob");
                            if (locked) intent.lock = Lock{"root", "a test", now.wall};
                            if (held) intent.hold = Hold{"this-boot", 1300s};
                            if (task != 0)
                                intent.tasks = {{"backup", "bob", now.wall - 1h, task == 2 ? now.wall + 1s : now.wall}};
                            if (some < sessions.size()) {
                                intent.sessions = {sessions[some].session};
                                wants_open = wants_open || (sessions[some].wants_open && counts("alice"));
                            }
                            const Mode expected = locked || wanted == WantedMode::locked ? Mode::locked
                                                  : wanted == WantedMode::closed         ? Mode::closed
                                                  : wanted == WantedMode::open           ? Mode::open
                                                  : wants_open                           ? Mode::open
                                                                                         : Mode::closed;
                            const Effective effective = effective_mode(safe(wanted, users), intent, now);
                            EXPECT_EQ(effective.mode, expected)
                                << to_text(wanted) << " users " << users.size() << " locked " << locked << " held "
                                << held << " task " << task << " "
                                << (some < sessions.size() ? sessions[some].name : "nobody");
                            EXPECT_FALSE(effective.reasons.empty());
                            ++tried;
                        }
    EXPECT_EQ(tried, 4 * 5 * 2 * 2 * 3 * 16);
}

TEST(EffectiveMode, WhereNoKeyOpensAnythingWhoOpensNeedNotBeAUser) {
    specs::SafeSpec spec = safe(WantedMode::automatic, {"alice"});
    Snapshot intent;
    intent.sessions = {{"local", "root", std::string(without_key), "this-boot", 1s, 28800s}};
    EXPECT_EQ(effective_mode(spec, intent, at(0s)).mode, Mode::open);
    specs::VolumeSpec vault;
    vault.role.value = specs::VolumeRole::vault;
    spec.volumes.push_back(vault);
    EXPECT_EQ(effective_mode(spec, intent, at(0s)).mode, Mode::closed);
}

TEST(EffectiveMode, OneOfManyIsEnoughAndEverybodyIsNamed) {
    const Now now = at(0s);
    Snapshot intent;
    for (const Case& one : sessions)
        if (!one.wants_open) intent.sessions.push_back(one.session);
    EXPECT_EQ(effective_mode(safe(WantedMode::automatic), intent, now).mode, Mode::closed);
    intent.sessions.push_back(with({"gateway", "7", "carol", "this-boot", 990s}, {}, 995s));
    intent.sessions.push_back({"local", "bob", "bob", "this-boot", 1s, 28800s});
    intent.tasks = {{"backup", "bob", now.wall, now.wall + 1h}};
    const Effective open = effective_mode(safe(WantedMode::automatic), intent, now);
    EXPECT_EQ(open.mode, Mode::open);
    EXPECT_EQ(open.reasons,
              (std::vector<std::string>{"bob is inside", "the task backup of bob runs until 2026-11-25T01:00:00Z",
                                        "carol left less than 30 s ago"}));
}

TEST(EffectiveMode, ALockIsNeverDelayedAndSaysByWhomAndWhy) {
    const Now now = at(0s);
    Snapshot intent;
    intent.sessions = {session(1000s)};
    intent.lock = Lock{"alice", "odd logins", now.wall};
    const Effective locked = effective_mode(safe(WantedMode::automatic), intent, now);
    EXPECT_EQ(locked.mode, Mode::locked);
    EXPECT_EQ(locked.reasons, std::vector<std::string>{"locked by alice at 2026-11-25T00:00:00Z: odd logins"});
}

TEST(EffectiveMode, WithoutPeopleTheFileDecidesAndAutoIsClosed) {
    EXPECT_EQ(effective_mode(WantedMode::automatic), Mode::closed);
    EXPECT_EQ(effective_mode(WantedMode::closed), Mode::closed);
    EXPECT_EQ(effective_mode(WantedMode::open), Mode::open);
    EXPECT_EQ(effective_mode(WantedMode::locked), Mode::locked);
}

}  // namespace
}  // namespace safe::intent
