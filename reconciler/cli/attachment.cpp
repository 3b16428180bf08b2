#include "reconciler/cli/attachment.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "reconciler/planning/difference.hpp"

namespace safe::cli {

using base::Result;
using model::Action;
using model::Observation;
using model::Resource;

Attachment::Attachment(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around)
    : drivers_(around.builtin.make_drivers({spec, places, no_key_})),
      journal_(places.state_dir() / "journal.jsonl"),
      stop_(around.stop),
      safe_(*spec.safe) {}

Attachment::~Attachment() { static_cast<void>(give_back()); }

Result<std::unique_ptr<Attachment>> Attachment::take(const specs::SafeSpec& spec, const driver::Places& places,
                                                     const Surroundings& around) {
    std::unique_ptr<Attachment> attachment(new Attachment(spec, places, around));
    if (Result<void> attached = attachment->attach(spec); !attached) return base::fail(attached.error());
    return attachment;
}

Result<void> Attachment::attach(const specs::SafeSpec& spec) {
    const specs::VolumeSpec* vault = spec.vault();
    const driver::Driver* driver = drivers_.driver_of(model::Kind::session);
    if (vault == nullptr || driver == nullptr) return {};
    const driver::Desire desire = driver->desire(spec, model::Mode::open);
    const auto session =
        std::ranges::find(desire.resources, model::make_id(model::Kind::session, vault->name), &Resource::id);
    if (session == desire.resources.end()) return {};
    const Observation seen = drivers_.look_at(session->id, {.stop = stop_});
    const auto* present = std::get_if<model::Present>(&seen);
    if (present != nullptr && planning::difference(present->attributes, session->attributes).empty()) return {};
    if (const auto* unknown = std::get_if<model::Unknown>(&seen)) return base::fail(unknown->error);
    if (present == nullptr && !std::holds_alternative<model::Absent>(seen))
        return base::fail({"attach", to_text(session->id), "something that is not ours is in its place",
                           "look at what `safectl plan` says of it", base::Error::Kind::refused});
    // What a power cut left of a session, without its disk, is attached anew.
    if (present != nullptr)
        if (Result<void> free = must_be_closed(vault->name, *session); !free) return free;
    attached_ = *session;  // from here on: what fails may have attached it all the same
    return carry_out(present != nullptr ? Action::change : Action::add, *session, seen);
}

Result<void> Attachment::must_be_closed(const std::string& vault, const Resource& session) {
    const model::ResourceId mapping = model::make_id(model::Kind::mapping, vault);
    if (drivers_.driver_of(mapping.kind) == nullptr) return {};
    const Observation seen = drivers_.look_at(mapping, {.stop = stop_});
    if (std::holds_alternative<model::Absent>(seen)) return {};
    if (const auto* unknown = std::get_if<model::Unknown>(&seen)) return base::fail(unknown->error);
    return base::fail({"attach", to_text(session.id), "it is not as it should be, and the vault is open on it",
                       "put that right first: `safectl apply`", base::Error::Kind::refused});
}

Result<void> Attachment::give_back() {
    const std::optional<Resource> session = std::exchange(attached_, std::nullopt);
    if (!session) return {};
    // Also after a stop was asked for: what is left attached would have to be explained.
    stop_ = {};
    const Observation seen = drivers_.look_at(session->id, {});
    if (std::holds_alternative<model::Absent>(seen)) return {};
    return carry_out(Action::remove, *session, seen);
}

Result<void> Attachment::carry_out(Action action, const Resource& session, const Observation& observed) {
    const auto* present = std::get_if<model::Present>(&observed);
    const std::vector<model::Change> changes =
        action == Action::remove
            ? std::vector<model::Change>{}
            : planning::difference(present != nullptr ? present->attributes : model::Attributes{}, session.attributes);
    const model::Assessment assessment = drivers_.classify(action, session, observed, changes);
    model::Plan plan;
    plan.safe = safe_;
    plan.observed.emplace(session.id, digest(observed));
    plan.steps.push_back({.resource = session.id,
                          .action = action,
                          .verb = assessment.verb,
                          .summary = assessment.summary,
                          .changes = changes,
                          .labels = {},
                          .requires_done = {}});
    Result<applying::Journal> journal = applying::Journal::open(journal_);
    if (!journal) return base::fail(journal.error());
    if (Result<void> recorded = journal->started(plan); !recorded) return recorded;
    applying::Execution execution{.drivers = drivers_, .journal = *journal, .listener = nobody_, .stop = stop_};
    execution.workers = 1;
    model::Report report;
    report.outcomes = applying::execute(plan, std::span(&session, 1), {}, execution).outcomes;
    if (Result<void> recorded = journal->ended(report); !recorded) return recorded;
    for (const model::Outcome& outcome : report.outcomes)
        if (outcome.error) return base::fail(*outcome.error);
    return {};
}

}  // namespace safe::cli
