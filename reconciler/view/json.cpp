#include <nlohmann/json.hpp>

#include "reconciler/view/view.hpp"

namespace safe::view {
namespace {

using Json = nlohmann::ordered_json;
using model::Branch;
using model::Change;
using model::Held;
using model::Plan;

constexpr int format_version = 1;

struct ScalarJson {
    Json operator()(bool value) const { return value; }
    Json operator()(std::int64_t value) const { return value; }
    Json operator()(model::Bytes value) const { return Json{{"bytes", value.count}}; }
    Json operator()(const std::string& value) const { return value; }
};

/// A branch without order is an object; one with order a list of {key, value}.
Json value_json(const model::Value& value) {
    if (const model::Scalar* scalar = value.scalar()) return std::visit(ScalarJson{}, *scalar);
    const Branch& branch = *value.branch();
    Json out = branch.ordered() ? Json::array() : Json::object();
    for (const model::Entry& entry : branch.entries()) {
        if (branch.ordered())
            out.push_back(Json{{"key", entry.key}, {"value", value_json(entry.value)}});
        else
            out[entry.key] = value_json(entry.value);
    }
    return out;
}

std::string_view what_text(Change::What what) {
    switch (what) {
        case Change::What::add:
            return "add";
        case Change::What::remove:
            return "remove";
        case Change::What::change:
            return "change";
        case Change::What::move:
            return "move";
    }
    return "?";
}

Json change_json(const Change& change) {
    Json out{{"path", change.path}, {"what", what_text(change.what)}};
    if (change.before) out["before"] = value_json(*change.before);
    if (change.after) out["after"] = value_json(*change.after);
    return out;
}

Json error_object(const base::Error& error) {
    return Json{{"attempt", error.attempt}, {"object", error.object}, {"cause", error.cause}, {"advice", error.advice}};
}

Json step_object(const model::Step& step) {
    Json out{{"resource", to_text(step.resource)},
             {"action", model::to_text(step.action)},
             {"verb", step.verb},
             {"summary", step.summary},
             {"disruption", model::to_text(step.disruption)},
             {"requires", step.requires_done},
             {"changes", Json::array()}};
    for (const Change& change : step.changes) out["changes"].push_back(change_json(change));
    if (!step.follows.empty()) out["follows"] = step.follows;
    if (!step.destroys.empty()) out["destroys"] = step.destroys;
    if (step.bracket) out["bracket"] = to_text(*step.bracket);
    if (step.insists) out["insists"] = true;
    if (step.waits_for) out["waits_for"] = *step.waits_for;
    return out;
}

Json held_json(const std::vector<Held>& held) {
    Json out = Json::array();
    for (const Held& one : held) {
        Json object{{"resource", to_text(one.resource)}, {"error", error_object(one.error)}};
        if (one.on) object["on"] = to_text(*one.on);
        out.push_back(std::move(object));
    }
    return out;
}

Json plan_object(const Plan& plan) {
    Json out{{"safe", plan.safe},
             {"mode", model::to_text(plan.mode)},
             {"spec", plan.spec_digest},
             {"disruption", model::to_text(plan.disruption())},
             {"runnable", plan.runnable()},
             {"steps", Json::array()},
             {"refusals", Json::array()},
             {"unknown", held_json(plan.unknown)},
             {"blind", Json::array()},
             {"deferred", held_json(plan.deferred)},
             {"blocked", held_json(plan.blocked)},
             {"dormant", held_json(plan.dormant)},
             {"orphaned", Json::array()},
             {"notes", plan.notes},
             {"observed", Json::object()}};
    for (const model::Step& step : plan.steps) out["steps"].push_back(step_object(step));
    for (const model::Refusal& refusal : plan.refusals)
        out["refusals"].push_back(Json{{"subject", refusal.subject}, {"error", error_object(refusal.error)}});
    for (const model::Blind& blind : plan.blind) out["blind"].push_back(error_object(blind.error));
    for (const model::ResourceId& id : plan.orphaned) out["orphaned"].push_back(to_text(id));
    for (const auto& [id, digest] : plan.observed) out["observed"][to_text(id)] = digest;
    return out;
}

Json outcome_json(const model::Outcome& outcome) {
    Json out{{"resource", to_text(outcome.resource)},
             {"action", model::to_text(outcome.action)},
             {"verb", outcome.verb},
             {"outcome", model::to_text(outcome.what)}};
    if (outcome.error) out["error"] = error_object(*outcome.error);
    return out;
}

constexpr int indented = 2;
constexpr int one_line = -1;

/// Bytes that are no UTF-8 (from a live system) are replaced rather than thrown over.
std::string document(std::string_view kind, const Json& body, int indent = indented) {
    Json out{{"version", format_version}, {"kind", kind}};
    out.update(body);
    return out.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string event(std::string_view what, const Json& body) {
    Json out{{"event", what}};
    out.update(body);
    return document("event", out, one_line);
}

Json short_json(const model::Step& step) {
    return Json{{"resource", to_text(step.resource)}, {"action", model::to_text(step.action)}, {"verb", step.verb}};
}

}  // namespace

std::string plan_json(const Plan& plan) { return document("plan", plan_object(plan)); }

std::string report_json(const model::Report& report) {
    Json outcomes = Json::array();
    for (const model::Outcome& outcome : report.outcomes) outcomes.push_back(outcome_json(outcome));
    return document("report", Json{{"rounds", report.rounds},
                                   {"interrupted", report.interrupted},
                                   {"outcomes", std::move(outcomes)},
                                   {"remaining", plan_object(report.remaining)}});
}

std::string error_json(const base::Error& error) {
    return document("error", Json{{"error", error_object(error)}}, one_line);
}

std::string round_json(int round, std::size_t steps) {
    return event("round", Json{{"round", round}, {"steps", steps}});
}

std::string started_json(const model::Step& step) { return event("step", short_json(step)); }

std::string progress_json(const model::Step& step, std::string_view line) {
    Json body = short_json(step);
    body["progress"] = line;
    return event("progress", body);
}

std::string end_json(const model::Outcome& outcome, std::chrono::milliseconds took) {
    Json body = outcome_json(outcome);
    body["milliseconds"] = took.count();
    return event("end", body);
}

std::string waiting_json(const model::Held& deferred) {
    return event("waiting", Json{{"resource", to_text(deferred.resource)}, {"error", error_object(deferred.error)}});
}

}  // namespace safe::view
