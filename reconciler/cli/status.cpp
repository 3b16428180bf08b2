// safectl status: what people want, what is there, and what is left to do. Reads, changes nothing. A part that cannot
// be seen is said to be unknown, never left out.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "reconciler/applying/rounds.hpp"
#include "reconciler/base/characters.hpp"
#include "reconciler/cli/people.hpp"
#include "reconciler/intent/requests.hpp"

namespace safe::cli {
namespace {

using base::Result;
using model::Kind;
using nlohmann::ordered_json;

struct State {
    intent::Snapshot intent;
    intent::Now now;
    intent::Effective effective;
    applying::Planned planned;
};

std::string saved_text(const model::Absent& absent) {
    const std::string* in = model::get<std::string>(absent.facts, "suspended");
    if (in == nullptr) return "off";
    if (*in == "ram") return absent.facts.find("live") != nullptr ? "asleep in RAM" : "off: its memory was lost";
    const std::string* at = model::get<std::string>(absent.facts, "suspended-at");
    return "saved in the vault" + (at != nullptr ? " " + *at : std::string());
}

/// One word or two for each way of being there.
std::string state_text(Kind kind, const model::Observation& seen) {
    if (const auto* unknown = std::get_if<model::Unknown>(&seen)) return "unknown: " + unknown->error.cause;
    if (const auto* foreign = std::get_if<model::Foreign>(&seen)) return "not ours: " + foreign->what;
    if (std::holds_alternative<model::Deferred>(seen)) return "not to be seen now";
    if (const auto* absent = std::get_if<model::Absent>(&seen))
        return kind == Kind::power ? saved_text(*absent) : "absent";
    if (kind != Kind::power) return "present";
    const std::string* state = model::get<std::string>(std::get<model::Present>(seen).attributes, "state");
    return state != nullptr ? *state : "running";
}

/// The highest layer that is there: what stands in the way of saying that it is closed.
std::string volume_text(const State& state, const std::string& volume) {
    const auto& observed = state.planned.question.observed;
    for (const auto& [kind, word] : {std::pair{Kind::mount, "mounted"},
                                     {Kind::mapping, "unlocked, not mounted"},
                                     {Kind::session, "attached, locked"}}) {
        const auto seen = observed.find(make_id(kind, volume));
        if (seen == observed.end()) continue;
        if (std::holds_alternative<model::Present>(seen->second)) return word;
        if (!std::holds_alternative<model::Absent>(seen->second) &&
            !std::holds_alternative<model::Deferred>(seen->second))
            return state_text(kind, seen->second);
    }
    return "closed";
}

/// Volumes that left the file are kept while the safe is open, and may be in the way of its being closed.
ordered_json volumes_of(const specs::SafeSpec& spec, const State& state) {
    ordered_json volumes = ordered_json::object();
    for (const specs::VolumeSpec& volume : spec.volumes) volumes[volume.name] = volume_text(state, volume.name);
    for (const auto& [id, seen] : state.planned.question.observed) {
        const bool opens = id.kind == Kind::mount || id.kind == Kind::mapping || id.kind == Kind::session;
        if (!opens || volumes.contains(id.name()) || std::holds_alternative<model::Absent>(seen)) continue;
        volumes[id.name()] = "left out of the file: " + volume_text(state, id.name());
    }
    return volumes;
}

ordered_json json_of(const specs::SafeSpec& spec, const State& state) {
    ordered_json people = ordered_json::array();
    for (const intent::Session& session : state.intent.sessions)
        if (is_live(session, state.now)) people.push_back({{"user", session.user}, {"source", session.source}});
    ordered_json tasks = ordered_json::array();
    for (const intent::Task& task : state.intent.tasks)
        if (is_running(task, state.now))
            tasks.push_back({{"name", task.name}, {"owner", task.owner}, {"deadline", intent::to_text(task.deadline)}});
    ordered_json vms = ordered_json::object();
    for (const auto& [id, seen] : state.planned.question.observed)
        if (id.kind == Kind::power) vms[id.name()] = state_text(id.kind, seen);
    const model::Plan& plan = state.planned.plan;
    ordered_json json{{"version", 1},
                      {"kind", "status"},
                      {"safe", *spec.safe},
                      {"mode", model::to_text(state.effective.mode)},
                      {"reasons", state.effective.reasons},
                      {"people", std::move(people)},
                      {"tasks", std::move(tasks)},
                      {"logins_held", state.intent.hold && holds(*state.intent.hold, state.now)},
                      {"vms", std::move(vms)},
                      {"volumes", volumes_of(spec, state)},
                      {"steps_left", plan.steps.size()},
                      {"runnable", plan.runnable()},
                      {"unknown", plan.unknown.size() + plan.blind.size()},
                      {"refusals", plan.refusals.size()}};
    if (const std::optional<intent::Lock>& lock = state.intent.lock)
        json["lock"] = {{"by", lock->by}, {"reason", lock->reason}, {"at", intent::to_text(lock->at)}};
    return json;
}

void print_text(const ordered_json& json) {
    const view::Style style = style_of(STDOUT_FILENO);
    const auto text = [](const ordered_json& value) { return base::printable(value.get<std::string>()); };
    say("safe {}: {}\n", text(json["safe"]), view::paint(view::Tone::strong, text(json["mode"]), style));
    for (const ordered_json& reason : json["reasons"]) say("  {}\n", text(reason));
    if (json["logins_held"].get<bool>()) say("  it was closed a moment ago: logins are held\n");
    say("\n");
    for (const ordered_json& person : json["people"])
        say("  person  {:<20} through {}\n", text(person["user"]), text(person["source"]));
    for (const ordered_json& task : json["tasks"])
        say("  task    {:<20} of {} until {}\n", text(task["name"]), text(task["owner"]), text(task["deadline"]));
    for (const auto& [name, state] : json["volumes"].items())
        say("  volume  {:<20} {}\n", base::printable(name), text(state));
    for (const auto& [name, state] : json["vms"].items())
        say("  vm      {:<20} {}\n", base::printable(name), text(state));
    const auto count = [&](const char* key) { return json[key].get<std::size_t>(); };
    say("\n{}\n", count("steps_left") + count("unknown") + count("refusals") == 0
                      ? "nothing left to do"
                      : fmt::format("{} steps left, {} unknown, {} refused: safectl plan shows them",
                                    count("steps_left"), count("unknown"), count("refusals")));
}

Result<State> look(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around) {
    State state;
    Result<intent::Snapshot> intent = intent::Store::read(places.state_dir());
    if (!intent) return base::fail(intent.error());
    Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return base::fail(now.error());
    state.intent = intent::of_users(spec, std::move(*intent));
    state.now = std::move(*now);
    state.effective = intent::effective_mode(spec, state.intent, state.now);
    const driver::KeyRing no_key;
    applying::DriverSet drivers(around.builtin.make_drivers({spec, places, no_key}));
    const applying::Goal goal{
        .spec = spec, .mode = state.effective.mode, .limits = {}, .refusals = around.builtin.missing_plugins(spec)};
    state.planned = applying::look_and_plan(goal, drivers, {.stop = around.stop});
    return state;
}

ExitCode status(const SpecOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options);
    if (!spec) return failure;
    const Result<State> state = look(*spec, places_of(*spec, options), around);
    if (!state) return report_error(state.error(), options.format);
    if (around.stop.stop_requested()) return interrupted;
    const ordered_json json = json_of(*spec, *state);
    if (options.format == Format::json)
        say_document(json);
    else
        print_text(json);
    return success;
}

}  // namespace

void add_status(Menu& menu) {
    menu.add<SpecOptions>("status", "Mode, people, tasks, volumes, VMs, and what is left to do.", add_safe, status);
}

}  // namespace safe::cli
