// Killed before, inside and after every step that puts a guest to sleep in the vault or wakes it from there, while
// libvirtd goes on: then applied again, the guest counts on from where it was, and what was used is gone.
#include <fmt/format.h>
#include <sys/wait.h>

#include "tests/fault/killing_driver.hpp"
#include "tests/system/libvirt/suspend_fixture.hpp"

namespace safe::test {
namespace {

using testing::KillPoint;

class SuspendMatrix : public SuspendToDisk {
 protected:
    /// Goes there in a process of its own, which the point kills.
    void go_and_be_killed(Mode mode, const KillPoint& point) const {
        const specs::SafeSpec safe = spec();
        const pid_t child = ::fork();
        if (child == 0) {
            std::vector<std::unique_ptr<driver::Driver>> drivers;
            for (auto& real : drivers_of(safe))
                drivers.push_back(std::make_unique<testing::KillingDriver>(std::move(real), point));
            static_cast<void>(go(safe, mode, std::move(drivers)));
            ::_exit(0);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the kill did not happen";
    }

    /// libvirtd may still be at work for the run that was killed, and says so: then it is applied once more.
    void get_to(Mode mode) const {
        std::string said = "never tried";
        for (int tries = 0; tries < 20 && !said.empty(); ++tries) said = failures(go(spec(), mode));
        EXPECT_EQ(said, "");
        EXPECT_EQ(steps(look(spec(), mode)), "");
    }

    static std::vector<KillPoint> points_of(const std::string& step) {
        std::vector<KillPoint> points{{step, KillPoint::When::before}, {step, KillPoint::When::after}};
        for (const int milliseconds : {5, 20, 50, 100, 150, 200, 300, 400, 600, 900})
            points.push_back({step, KillPoint::When::inside, std::chrono::milliseconds(milliseconds)});
        return points;
    }

    void counts_on() const {
        EXPECT_EQ(domains(), "t-desk running; t-gate running");
        const std::vector<std::uint32_t> all = more_numbers();
        EXPECT_EQ(boots(all), 1) << "it booted: its memory is lost";
        EXPECT_TRUE(std::ranges::is_sorted(all)) << "it went back in time";
    }
};

TEST_F(SuspendMatrix, KilledWhileItIsPutToSleep) {
    get_to(Mode::open);
    counts_on();
    for (const KillPoint& point : points_of("remove power/desk"))
        for (const bool goes_on_closing : {true, false}) {
            SCOPED_TRACE(fmt::format("{} us in, then {}", point.into.count(), goes_on_closing ? "closed" : "opened"));
            go_and_be_killed(Mode::closed, point);
            if (goes_on_closing) {
                get_to(Mode::closed);
                EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
            }
            get_to(Mode::open);
            counts_on();
        }
}

TEST_F(SuspendMatrix, KilledWhileItIsWoken) {
    get_to(Mode::open);
    counts_on();
    for (const KillPoint& point : points_of("add power/desk"))
        for (const bool goes_on_opening : {true, false}) {
            SCOPED_TRACE(fmt::format("{} us in, then {}", point.into.count(), goes_on_opening ? "opened" : "closed"));
            get_to(Mode::closed);
            go_and_be_killed(Mode::open, point);
            if (!goes_on_opening) get_to(Mode::closed);
            get_to(Mode::open);
            counts_on();
        }
}

}  // namespace
}  // namespace safe::test
