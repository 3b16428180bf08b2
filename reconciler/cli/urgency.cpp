#include "reconciler/cli/urgency.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "reconciler/applying/rounds.hpp"
#include "reconciler/base/pause.hpp"
#include "reconciler/cli/event_listener.hpp"
#include "reconciler/cli/terminal.hpp"

namespace safe::cli {
namespace {

using Drivers = std::vector<std::unique_ptr<driver::Driver>>;
using Clock = std::chrono::steady_clock;

constexpr auto between_looks = std::chrono::seconds(2);

bool is_firewall(const std::unique_ptr<driver::Driver>& driver) {
    return std::ranges::find(driver->kinds(), model::Kind::ruleset) != driver->kinds().end();
}

}  // namespace

void cut_people_off(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around,
                    Format format) {
    const driver::KeyRing no_key;
    Drivers firewall = around.builtin.make_drivers({spec, places, no_key});
    std::erase_if(firewall, [](const auto& driver) { return !is_firewall(driver); });
    applying::DriverSet drivers(std::move(firewall));
    const applying::Goal goal{.spec = spec, .mode = model::Mode::locked, .limits = {}, .refusals = {}};
    const applying::Planned planned = applying::look_and_plan(goal, drivers, {.stop = around.stop});
    std::set<model::ResourceId> others;
    for (const model::Step& step : planned.plan.steps)
        if (!step.cuts_off) others.insert(step.resource);
    if (others.size() == planned.plan.steps.size()) return;
    base::Result<applying::Journal> opened = applying::Journal::open(places.state_dir() / "journal.jsonl");
    applying::Journal journal = opened ? *std::move(opened) : applying::Journal::unopened(opened.error());
    static_cast<void>(journal.started(planned.plan));  // what closes is not kept from it by a full disk
    const bool text = format == Format::text;
    TerminalListener on_terminal(style_of(STDOUT_FILENO), ::isatty(STDOUT_FILENO) == 1);
    EventListener for_programs;
    const applying::Execution execution{.drivers = drivers,
                                        .journal = journal,
                                        .listener = text ? static_cast<applying::Listener&>(on_terminal) : for_programs,
                                        .stop = around.stop,
                                        .insistence = {}};
    static_cast<void>(applying::execute(planned.plan, planned.question.desired, others, execution));
}

Impatience::Impatience(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around,
                       std::chrono::seconds deadline, Format format)
    : drivers_(around.builtin.make_drivers({spec, places, no_key_})),
      watch_([this, end = Clock::now() + deadline, format](const std::stop_token& over) {
          driver::Context context{.stop = over};
          if (format == Format::text) context.progress = [](std::string_view line) { say("{}\n", line); };
          for (Clock::time_point next = end; base::pause_until(next, over); next = Clock::now() + between_looks)
              drivers_.wait_no_longer(context);
      }) {}

}  // namespace safe::cli
