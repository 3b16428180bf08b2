#include "reconciler/applying/driver_set.hpp"

#include <algorithm>
#include <future>
#include <iterator>

namespace safe::applying {
namespace {

using driver::Driver;
using model::ResourceId;
using model::Snapshot;

/// What is wanted of one driver, and what there is of it.
struct Look {
    driver::Desire desire;
    Snapshot snapshot;
};

Look look_with(Driver& driver, const specs::SafeSpec& spec, model::Mode mode, const driver::Context& context) {
    Look look{.desire = driver.desire(spec, mode), .snapshot = {}};
    driver::Scope scope{.ids = {}, .enumerate = true, .wanted = look.desire.resources};
    for (const model::Resource& resource : look.desire.resources) scope.ids.push_back(resource.id);
    look.snapshot = driver.observe(scope, context);
    return look;
}

void merge(Look look, const Driver& driver, planning::Question& question) {
    std::ranges::move(look.desire.resources, std::back_inserter(question.desired));
    std::ranges::move(look.desire.refusals, std::back_inserter(question.refusals));
    Snapshot& snapshot = look.snapshot;
    if (snapshot.enumeration_failed)
        for (const model::Kind kind : driver.kinds()) question.blind.emplace(kind, *snapshot.enumeration_failed);
    model::merge(std::move(snapshot.observations), question.observed);
    std::ranges::move(snapshot.refusals, std::back_inserter(question.refusals));
    std::ranges::move(snapshot.warnings, std::back_inserter(question.notes));
}

}  // namespace

DriverSet::DriverSet(std::vector<std::unique_ptr<Driver>> drivers) : drivers_(std::move(drivers)) {
    for (const std::unique_ptr<Driver>& driver : drivers_)
        for (const model::Kind kind : driver->kinds()) by_kind_.emplace(kind, driver.get());
}

planning::Question DriverSet::look(const specs::SafeSpec& spec, model::Mode mode, const driver::Context& context) {
    planning::Question question;
    question.safe = *spec.safe;
    question.mode = mode;
    question.spec_digest = spec.digest;
    std::vector<std::future<Look>> looks;
    for (const std::unique_ptr<Driver>& driver : drivers_)
        looks.push_back(std::async(std::launch::async, [&] { return look_with(*driver, spec, mode, context); }));
    for (std::size_t i = 0; i < drivers_.size(); ++i) merge(looks[i].get(), *drivers_[i], question);
    return question;
}

model::Observation DriverSet::look_at(const ResourceId& id, const driver::Context& context) {
    model::Unknown nobody{{.attempt = "look at", .object = to_text(id), .cause = "no driver answers for it"}};
    Driver* driver = driver_of(id.kind);
    if (driver == nullptr) return nobody;
    Snapshot snapshot = driver->observe({.ids = {id}, .enumerate = false}, context);
    const auto seen = snapshot.observations.find(id);
    return seen != snapshot.observations.end() ? std::move(seen->second) : nobody;
}

void DriverSet::wait_no_longer(const driver::Context& context) {
    for (const std::unique_ptr<Driver>& driver : drivers_) driver->wait_no_longer(context);
}

Driver* DriverSet::driver_of(model::Kind kind) const {
    const auto found = by_kind_.find(kind);
    return found != by_kind_.end() ? found->second : nullptr;
}

model::Assessment DriverSet::classify(model::Action action, const model::Resource& resource,
                                      const model::Observation& observed,
                                      std::span<const model::Change> changes) const {
    return by_kind_.at(resource.id.kind)->classify(action, resource, observed, changes);
}

model::Presence DriverSet::orphan(const ResourceId& id, const model::Present& observed, model::Mode mode) const {
    return by_kind_.at(id.kind)->orphan(id, observed, mode);
}

}  // namespace safe::applying
