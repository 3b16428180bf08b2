// What apply, open and close have in common: the safe's own directory, its lock, the drivers, a plan that is shown and
// agreed to, the journal, and the report. One object a command; holds the lock for as long as it lives.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/applying/rounds.hpp"
#include "reconciler/cli/menu.hpp"
#include "reconciler/cli/plan_file.hpp"

namespace safe::cli {

/// The safe's own directory. Searchable by all, because QEMU runs as a user of its own and opens disks below it;
/// listable by its owner only.
[[nodiscard]] base::Result<void> make_state_directory(const std::filesystem::path& directory);

/// How one run of it is to be.
struct Wish {
    model::Mode mode = model::Mode::closed;
    std::optional<model::Disruption> max_disruption = std::nullopt;
    bool allow_mass_removal = false;  // planning::Limits
    bool yes = false;                 // nobody is asked
    driver::Insistence insistence = {};
    const PlanFile* agreed = nullptr;  // nothing but this plan
    Format format = Format::text;
    /// applying::Goal; asked once more when somebody has agreed to the plan.
    std::function<base::Result<void>()> still = [] { return base::Result<void>{}; };
};

class Convergence {
 public:
    /// Makes the directory, takes the lock and connects nothing yet. `spec` and `keys` outlive it.
    [[nodiscard]] static base::Result<Convergence> begin(const specs::SafeSpec& spec, const driver::Places& places,
                                                         const driver::KeyRing& keys, const Surroundings& around);

    /// The report of what was done and is left; printed as it came about. An Error of kind refused or interrupted when
    /// nothing was begun. May be run again with another wish.
    [[nodiscard]] base::Result<model::Report> run(const Wish& wish);

    /// What runs from now on undoes what was interrupted: only a second Ctrl-C ends that.
    void undo_from_here() { stop_ = stop_again_; }

 private:
    Convergence(const specs::SafeSpec& spec, std::filesystem::path state, applying::LockFile lock,
                std::unique_ptr<applying::DriverSet> drivers, std::vector<model::Refusal> missing,
                const Surroundings& around)
        : spec_(&spec),
          state_(std::move(state)),
          lock_(std::move(lock)),
          drivers_(std::move(drivers)),
          missing_(std::move(missing)),
          stop_(around.stop),
          stop_again_(around.stop_again) {}

    [[nodiscard]] base::Result<void> ask(const model::Plan& plan, const Wish& wish) const;
    [[nodiscard]] base::Result<model::Report> carry_out(const applying::Goal& goal, applying::Planned planned,
                                                        const Wish& wish);

    const specs::SafeSpec* spec_;
    std::filesystem::path state_;
    applying::LockFile lock_;
    std::unique_ptr<applying::DriverSet> drivers_;
    std::vector<model::Refusal> missing_;
    std::stop_token stop_;
    std::stop_token stop_again_;
};

/// As Convergence::begin, waiting for another run to end if one is at work: for what must become true, not only known.
[[nodiscard]] base::Result<Convergence> begin_within(std::chrono::seconds time, const specs::SafeSpec& spec,
                                                     const driver::Places& places, const driver::KeyRing& keys,
                                                     const Surroundings& around);

/// Runs it again until nothing is left to close: guests that are not asleep by the spec's deadline for that, or by
/// `deadline`, have their power cut; past `deadline` with force, a few times. The last report.
[[nodiscard]] base::Result<model::Report> close_until_closed(Convergence& convergence, const specs::SafeSpec& spec,
                                                             model::Mode mode, std::chrono::seconds deadline,
                                                             Format format, const std::stop_token& stop);

/// For what follows once it is on the medium what people want: that it is refused touches more than nothing, so it has
/// failed. `so_far` says how things stand and what to do.
[[nodiscard]] base::Result<model::Report> failed_after(base::Result<model::Report> result, const std::string& so_far);

/// Refused when the plan was, else what the report says.
[[nodiscard]] ExitCode exit_code_of(const base::Result<model::Report>& result, Format format);

/// The same for a command that has changed what people want by then: never that nothing was touched.
[[nodiscard]] ExitCode exit_code_of_closing(const base::Result<model::Report>& result, Format format);

}  // namespace safe::cli
