#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/cli/commands.hpp"
#include "reconciler/cli/plan_file.hpp"
#include "reconciler/cli/terminal.hpp"

namespace safe::cli {
namespace {

using base::Error;
using base::Result;

/// The safe's own directory. Searchable by all, because QEMU runs as a user of its own and opens disks below it;
/// listable by its owner only.
Result<void> make_state_directory(const std::filesystem::path& directory) {
    ::umask(022);  // parents that are missing must let QEMU pass; files of ours say their modes themselves
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (!error) std::filesystem::permissions(directory, std::filesystem::perms(0711), error);
    if (error)
        return base::fail({"make the state directory", directory.string(), error.message(),
                           "run as root, or name another --state-dir"});
    return {};
}

/// One apply of a loaded spec.
class Apply {
 public:
    Apply(const ApplyOptions& options, const Builtin& builtin, const std::stop_token& stop, const PlanFile* agreed)
        : options_(options), builtin_(builtin), stop_(stop), agreed_(agreed) {}

    Result<ExitCode> run(const specs::SafeSpec& spec) {
        const Result<model::Mode> mode = mode_of(spec, agreed_ != nullptr ? agreed_->mode : options_.mode);
        if (!mode) return base::fail(mode.error());
        const std::filesystem::path state = options_.state_dir / *spec.safe;
        if (const Result<void> made = make_state_directory(state); !made) return base::fail(made.error());
        // Taken before looking: what is planned must not be moved by another apply meanwhile.
        const Result<applying::LockFile> lock = applying::LockFile::take(state / "lock");
        if (!lock) return base::fail(lock.error());

        const driver::KeyRing no_key;
        applying::DriverSet drivers(builtin_.make_drivers({spec, driver::Places(*spec.safe, state), no_key}));
        applying::Goal goal{.spec = spec,
                            .mode = *mode,
                            .limits = {},
                            .exactly = agreed_ != nullptr,
                            .refusals = builtin_.missing_plugins(spec)};
        applying::Planned planned = applying::look_and_plan(goal, drivers, {.stop = stop_});
        if (stop_.stop_requested()) return interrupted;
        if (const Result<void> same = check_agreed(planned.plan); !same) return base::fail(same.error());
        goal.limits.max_disruption = options_.max_disruption;
        planned = applying::plan_from(goal, std::move(planned.looked), drivers);

        if (text()) fmt::print("{}", view::plan_text(planned.plan, style_of(STDOUT_FILENO)));
        if (planned.plan.runnable() == 0) return nothing_to_run(std::move(planned.plan));
        if (const Result<void> confirmed = ask(planned.plan); !confirmed) return base::fail(confirmed.error());
        return carry_out(goal, drivers, std::move(planned), state);
    }

 private:
    [[nodiscard]] bool text() const { return options_.spec.format == Format::text; }

    Result<void> check_agreed(const model::Plan& plan) const {
        if (agreed_ == nullptr || view::plan_json(plan) == agreed_->plan) return {};
        return base::fail({"apply", *options_.plan_file, "the spec or the world has moved on since it was made",
                           "look at a new plan: safectl plan -f " + agreed_->spec_file, Error::Kind::refused});
    }

    [[nodiscard]] ExitCode nothing_to_run(model::Plan plan) const {
        const bool vetoed = !plan.refusals.empty();
        model::Report report;
        report.remaining = std::move(plan);
        if (!text()) fmt::print("{}", view::report_json(report));
        return vetoed ? refused : exit_code_of(report);
    }

    Result<void> ask(const model::Plan& plan) const {
        if (options_.yes) return {};
        const auto no = [&](std::string cause, std::string advice) {
            return base::fail(
                {"apply to", "safe " + plan.safe, std::move(cause), std::move(advice), Error::Kind::refused});
        };
        if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1 || !text())
            return no("nobody is there to confirm", "look at the plan, then apply with --yes");
        if (!confirm(fmt::format("apply these {} steps?", plan.steps.size()))) return no("not confirmed", "");
        return {};
    }

    Result<ExitCode> carry_out(const applying::Goal& goal, applying::DriverSet& drivers, applying::Planned planned,
                               const std::filesystem::path& state) const {
        Result<applying::Journal> journal = applying::Journal::open(state / "journal.jsonl");
        if (!journal) return base::fail(journal.error());
        if (const Result<void> recorded = journal->started(planned.plan); !recorded)
            return base::fail(recorded.error());

        TerminalListener on_terminal(style_of(STDOUT_FILENO), ::isatty(STDOUT_FILENO) == 1);
        applying::Listener silent;
        const applying::Execution execution{.drivers = drivers,
                                            .journal = *journal,
                                            .listener = text() ? static_cast<applying::Listener&>(on_terminal) : silent,
                                            .stop = stop_};
        const model::Report report = applying::apply(goal, std::move(planned), execution, {});
        if (const Result<void> recorded = journal->ended(report); !recorded)
            print_error(recorded.error(), options_.spec.format);
        fmt::print("{}", text() ? view::report_text(report, style_of(STDOUT_FILENO)) : view::report_json(report));
        return exit_code_of(report);
    }

    const ApplyOptions& options_;
    const Builtin& builtin_;
    const std::stop_token& stop_;
    const PlanFile* agreed_;  // nullptr: no plan file was given
};

ExitCode report_error(const Error& error, Format format) {
    print_error(error, format);
    return error.kind == Error::Kind::refused ? refused : failure;
}

}  // namespace

ExitCode apply(const ApplyOptions& options, const Builtin& builtin, const std::stop_token& stop) {
    std::optional<PlanFile> agreed;
    SpecOptions where = options.spec;
    if (options.plan_file) {
        Result<PlanFile> read = read_plan_file(*options.plan_file);
        if (!read) return report_error(read.error(), where.format);
        agreed = std::move(*read);
        where.file = agreed->spec_file;
    }
    const std::optional<specs::SafeSpec> spec = load(where);
    if (!spec) return failure;
    const Result<ExitCode> code = Apply(options, builtin, stop, agreed ? &*agreed : nullptr).run(*spec);
    return code ? *code : report_error(code.error(), where.format);
}

}  // namespace safe::cli
