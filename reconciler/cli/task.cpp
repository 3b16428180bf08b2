// safectl task: what keeps the safe open with nobody connected. Whoever adds one proves their key, and so does whoever
// cancels it: its owner, or a super-user.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "reconciler/cli/people.hpp"
#include "reconciler/intent/requests.hpp"

namespace safe::cli {
namespace {

using base::Result;

struct TaskOptions {
    SpecOptions spec;
    std::string name;
    std::string length;  // only to add
    std::string user;
    std::optional<int> password_fd;
};

void declare_one(CLI::App& app, TaskOptions& options) {
    app.add_option("name", options.name, "of the task")->option_text("NAME")->required();
    add_safe(app, options.spec);
    app.add_option("--user", options.user, "who asks; their password is asked for")->option_text("USER")->required();
    add_password(app, options.password_fd);
}

void declare_add(CLI::App& app, TaskOptions& options) {
    declare_one(app, options);
    app.add_option("--for", options.length, "how long: 90m, 6h, 2d; 7 days at most")->option_text("TIME")->required();
}

void declare_list(CLI::App& app, SpecOptions& options) { add_safe(app, options); }

/// The store, once `user` is known to be who they say. What they ask for is judged before they are asked for a
/// password.
Result<std::string> ask(const TaskOptions& options, const specs::SafeSpec& spec, const Surroundings& around,
                        const std::function<Result<void>(const intent::Snapshot&, const intent::Now&)>& judge,
                        const std::function<Result<std::string>(People&)>& carry_out) {
    const driver::Places places = places_of(spec, options.spec);
    const driver::KeyRing no_key;
    Result<People> people = People::at(places);
    if (!people) return base::fail(people.error());
    const Result<intent::Snapshot> intent = people->store().snapshot();
    if (!intent) return base::fail(intent.error());
    if (Result<void> may = judge(*intent, people->now()); !may) return base::fail(may.error());
    if (Result<void> proved =
            people->prove({spec, places, no_key}, options.user, {options.password_fd, around.stop}, around.builtin);
        !proved)
        return base::fail(proved.error());
    // Again: while they were asked for their password, others went on.
    if (Result<void> same = still_says(options.spec, spec); !same) return base::fail(same.error());
    const Result<intent::Snapshot> later = people->store().snapshot();
    if (!later) return base::fail(later.error());
    const Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return base::fail(now.error());
    if (Result<void> still = judge(*later, *now); !still) return base::fail(still.error());
    return carry_out(*people);
}

Result<std::string> add_it(const TaskOptions& options, const specs::SafeSpec& spec, const Surroundings& around) {
    const Result<std::chrono::seconds> length = intent::parse_length(options.length);
    if (!length) return base::fail(length.error());
    intent::Task task;
    const auto judge = [&](const intent::Snapshot& intent, const intent::Now& now) -> Result<void> {
        Result<intent::Task> wanted = intent::new_task(spec, intent, options.name, options.user, *length, now);
        if (!wanted) return base::fail(wanted.error());
        task = std::move(*wanted);
        return {};
    };
    return ask(options, spec, around, judge, [&](People& people) -> Result<std::string> {
        if (Result<void> put = people.store().put_task(task); !put) return base::fail(put.error());
        return fmt::format("the task {} of {} keeps safe {} open until {}", task.name, task.owner, *spec.safe,
                           intent::to_text(task.deadline));
    });
}

Result<std::string> cancel_it(const TaskOptions& options, const specs::SafeSpec& spec, const Surroundings& around) {
    const auto judge = [&](const intent::Snapshot& intent, const intent::Now& /*now*/) -> Result<void> {
        Result<intent::Task> task = intent::may_cancel(spec, intent, options.name, options.user);
        return task ? Result<void>{} : base::fail(task.error());
    };
    return ask(options, spec, around, judge, [&](People& people) -> Result<std::string> {
        if (Result<void> gone = people.store().remove_task(options.name); !gone) return base::fail(gone.error());
        return fmt::format("the task {} is cancelled", options.name);
    });
}

template <auto Do>
ExitCode task(const TaskOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const Result<std::string> done = Do(options, *spec, around);
    if (!done) return report_error(done.error(), options.spec.format);
    print_done(*done, options.spec.format);
    return success;
}

ExitCode list_tasks(const SpecOptions& options, const Surroundings& /*around*/) {
    const std::optional<specs::SafeSpec> spec = load(options);
    if (!spec) return failure;
    const Result<intent::Snapshot> intent = intent::Store::read(places_of(*spec, options).state_dir());
    if (!intent) return report_error(intent.error(), options.format);
    const Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return report_error(now.error(), options.format);
    nlohmann::ordered_json tasks = nlohmann::ordered_json::array();
    const intent::Snapshot wanted = intent::of_users(*spec, *intent);
    for (const intent::Task& task : wanted.tasks) {
        if (!intent::is_running(task, *now)) continue;
        if (options.format == Format::text)
            say("{:<20} {:<16} until {}\n", task.name, task.owner, intent::to_text(task.deadline));
        tasks.push_back({{"name", task.name}, {"owner", task.owner}, {"deadline", intent::to_text(task.deadline)}});
    }
    if (options.format == Format::json)
        say_document({{"version", 1}, {"kind", "tasks"}, {"safe", *spec->safe}, {"tasks", tasks}});
    else if (tasks.empty())
        say("no task runs\n");
    return success;
}

}  // namespace

void add_task(Menu& menu) {
    Menu group = menu.group("task", "What keeps the safe open with nobody connected.");
    group.add<TaskOptions>("add", "Keep the safe open for a while, or extend that.", declare_add, task<add_it>);
    group.add<SpecOptions>("list", "The tasks that run.", declare_list, list_tasks);
    group.add<TaskOptions>("cancel", "End a task of one's own; a super-user, anybody's.", declare_one, task<cancel_it>);
}

}  // namespace safe::cli
