// safectl lock: for when a compromise is suspected. The lock is on the medium before anything else is tried, and wins
// over everything; then the safe converges to *locked*, with force at the deadline, and that also when the lock could
// not be kept: then it is closed, and the error says that it is not locked. Root on the hypervisor may; no
// directory and no key is needed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/people.hpp"
#include "reconciler/cli/urgency.hpp"
#include "specs/text_scan.hpp"

namespace safe::cli {
namespace {

using base::Result;

constexpr std::size_t longest_reason = 500;

struct LockOptions {
    SpecOptions spec;
    std::string reason;
};

void declare(CLI::App& app, LockOptions& options) {
    add_safe(app, options.spec);
    app.add_option("--reason", options.reason, "what everybody is told")->option_text("TEXT")->required();
}

Result<void> check_reason(const std::string& reason) {
    const bool is_one_line = std::ranges::none_of(reason, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    const std::string fault = specs::find_bad_character(reason).what;
    if (!reason.empty() && reason.size() <= longest_reason && is_one_line && fault.empty()) return {};
    return base::fail({"lock with", "this reason",
                       fault.empty() ? "it is empty, too long, or has control characters in it" : "it has " + fault,
                       fmt::format("one line of at most {} bytes, in UTF-8", longest_reason),
                       base::Error::Kind::refused});
}

Result<void> put_on_medium(const driver::Places& places, const std::string& reason) {
    Result<People> people = People::at(places);
    if (!people) return base::fail(people.error());
    return people->store().lock({"root", reason, people->now().wall});
}

ExitCode lock(const LockOptions& options, const Surroundings& around) {
    const Format format = options.spec.format;
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const driver::Places places = places_of(*spec, options.spec);
    const driver::KeyRing no_key;
    if (Result<void> sound = check_reason(options.reason); !sound) return report_error(sound.error(), format);
    std::optional<base::Error> unkept;
    if (Result<void> locked = put_on_medium(places, options.reason); locked) {
        if (format == Format::text) say("safe {} is locked: nobody can open it\n\n", *spec->safe);
    } else {
        unkept = locked.error();  // told at the end: first it is closed
        unkept->kind = base::Error::Kind::failed;
    }
    const auto converge = [&]() -> Result<model::Report> {
        cut_people_off(*spec, places, around, format);
        const std::chrono::seconds deadline(spec->deadlines.lock.value.seconds);
        const Impatience impatience(*spec, places, around, deadline, format);
        Result<Convergence> convergence = begin_within(deadline + time_to_get_free, *spec, places, no_key, around);
        if (!convergence) return base::fail(convergence.error());
        return close_until_closed(*convergence, *spec, model::Mode::locked, deadline, format, around.stop);
    };
    const std::string so_far =
        fmt::format("safe {} is {}locked, and not closed: `safectl apply --mode locked` closes it", *spec->safe,
                    unkept ? "not " : "");
    const ExitCode code = exit_code_of_closing(failed_after(converge(), so_far), format);
    return unkept ? report_error(*unkept, format) : code;
}

}  // namespace

void add_lock(Menu& menu) {
    menu.add<LockOptions>("lock", "Lock the safe: close it, cut everybody off, refuse to open.", declare, lock,
                          Hangup::is_nothing_to_it);
}

}  // namespace safe::cli
