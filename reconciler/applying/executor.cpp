#include "reconciler/applying/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "reconciler/planning/difference.hpp"

namespace safe::applying {
namespace {

using base::Error;
using model::Action;
using model::Observation;
using model::Outcome;
using model::Resource;
using model::ResourceId;
using model::Step;
using model::StepIndex;
using Clock = std::chrono::steady_clock;

class Run {
 public:
    Run(const model::Plan& plan, std::span<const Resource> desired, const std::set<ResourceId>& excluded,
        const Execution& execution)
        : plan_(plan), execution_(execution), states_(plan.steps.size()), expected_(plan.observed) {
        for (const Resource& resource : desired) desired_.emplace(resource.id, &resource);
        for (StepIndex i = 0; i < plan.steps.size(); ++i) {
            const Step& step = plan.steps[i];
            if (!plan.refusals.empty() && !step.closes())
                skip(i, {step.verb, to_text(step.resource), "the plan is refused", ""});
            else if (step.waits_for)
                skip(i, {step.verb, to_text(step.resource), "it waits for " + *step.waits_for, ""});
            else if (step.rests_on(excluded))
                skip(i, {step.verb, to_text(step.resource), "it failed before in this run", ""});
        }
    }

    Executed run() {
        {
            std::vector<std::jthread> workers;
            workers.reserve(execution_.workers);
            for (unsigned i = 0; i < execution_.workers; ++i) workers.emplace_back([this] { work(); });
        }
        return std::move(executed_);
    }

 private:
    enum class State { waiting, running, done, failed };

    // --- which step next

    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            settle_hopeless();
            if (const std::optional<StepIndex> next = next_ready()) {
                states_[*next] = State::running;
                ++running_;
                lock.unlock();
                run_step(*next);
                lock.lock();
                --running_;
                changed_.notify_all();
            } else if (running_ == 0) {
                return;  // nothing is ready and nothing that runs could make it so
            } else {
                changed_.wait(lock);
            }
        }
    }

    [[nodiscard]] std::optional<StepIndex> next_ready() const {
        for (StepIndex i = 0; i < states_.size(); ++i) {
            if (states_[i] != State::waiting) continue;
            const Step& step = plan_.steps[i];
            const auto is_done = [&](StepIndex earlier) { return states_[earlier] == State::done; };
            const auto is_over = [&](StepIndex earlier) {
                return is_done(earlier) || states_[earlier] == State::failed;
            };
            const bool may_begin = step.insists ? std::ranges::all_of(step.requires_done, is_over)
                                                : std::ranges::all_of(step.requires_done, is_done);
            if (may_begin && std::ranges::all_of(step.follows, is_over)) return i;
        }
        return std::nullopt;
    }

    /// Steps that can no longer run: something they require has failed, or a stop was asked for. Steps come in an order
    /// that respects what they require, so one pass is enough.
    void settle_hopeless() {
        for (StepIndex i = 0; i < states_.size(); ++i) {
            if (states_[i] != State::waiting) continue;
            const Step& step = plan_.steps[i];
            if (execution_.stop.stop_requested()) {
                skip(i, {step.verb, to_text(step.resource), "interrupted before it began", "apply again to go on",
                         Error::Kind::interrupted});
                continue;
            }
            if (step.insists) continue;
            const auto failed = std::ranges::find_if(
                step.requires_done, [&](StepIndex earlier) { return states_[earlier] == State::failed; });
            if (failed != step.requires_done.end())
                skip(i, {step.verb, to_text(step.resource),
                         model::to_text(plan_.steps[*failed].resource) + ", which comes first, was not done", ""});
        }
    }

    void skip(StepIndex i, Error error) {
        states_[i] = State::failed;
        executed_.outcomes.push_back({plan_.steps[i].resource, plan_.steps[i].action, plan_.steps[i].verb,
                                      Outcome::What::skipped, std::move(error)});
    }

    // --- one step

    void run_step(StepIndex i) {
        const Step& step = plan_.steps[i];
        {
            const std::lock_guard lock(mutex_);
            execution_.listener.step_started(step);
        }
        const Clock::time_point start = Clock::now();
        base::Result<void> result = execution_.journal.step_started(step);
        // What closes is not kept from it by a full disk; that it is on no record makes it fail all the same.
        if (result || step.closes()) {
            base::Result<void> carried_out = carry_out(step);
            if (!carried_out || result) result = std::move(carried_out);
        }
        Outcome outcome{step.resource, step.action, step.verb, Outcome::What::done, std::nullopt};
        if (!result) {
            outcome.what = Outcome::What::failed;
            outcome.error = result.error();
        }
        if (base::Result<void> recorded = execution_.journal.step_ended(outcome); !recorded && !outcome.error) {
            outcome.what = Outcome::What::failed;
            outcome.error = recorded.error();
        }
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
        const std::lock_guard lock(mutex_);
        states_[i] = outcome.what == Outcome::What::done ? State::done : State::failed;
        execution_.listener.step_ended(step, outcome, took);
        executed_.outcomes.push_back(std::move(outcome));
    }

    base::Result<void> carry_out(const Step& step) {
        const driver::Context context{.stop = execution_.stop,
                                      .insistence = execution_.insistence,
                                      .progress = [this, &step](std::string_view line) {
                                          const std::lock_guard lock(mutex_);
                                          execution_.listener.step_progress(step, line);
                                      }};
        const Resource resource = resource_of(step);
        const Observation before = execution_.drivers.look_at(step.resource, context);
        if (base::Result<void> same = check_unmoved(step, before); !same) return same;
        driver::Driver* driver = execution_.drivers.driver_of(step.resource.kind);
        if (base::Result<void> applied = driver->apply(step, resource, before, context); !applied) return applied;
        return verify(step, resource, context);
    }

    [[nodiscard]] Resource resource_of(const Step& step) const {
        const auto declared = desired_.find(step.resource);
        Resource resource = declared != desired_.end() ? *declared->second : Resource{.id = step.resource};
        resource.presence = step.action == Action::remove ? model::Presence::absent : model::Presence::present;
        return resource;
    }

    base::Result<void> check_unmoved(const Step& step, const Observation& seen) {
        if (const auto* unknown = std::get_if<model::Unknown>(&seen)) return base::fail(unknown->error);
        const std::lock_guard lock(mutex_);
        const auto expected = expected_.find(step.resource);
        if (expected != expected_.end() && expected->second == digest(seen)) return {};
        executed_.moved.insert(step.resource);
        return base::fail({step.verb, to_text(step.resource), "it has changed since the plan was made",
                           "look at a new plan and apply again", Error::Kind::refused});
    }

    base::Result<void> verify(const Step& step, const Resource& resource, const driver::Context& context) {
        const Observation after = execution_.drivers.look_at(step.resource, context);
        const auto broken = [&](std::string cause) {
            return base::fail({"verify", to_text(step.resource) + " after \"" + step.verb + "\"", std::move(cause),
                               "apply again; if it stays so, something else keeps changing it"});
        };
        if (const auto* unknown = std::get_if<model::Unknown>(&after)) return base::fail(unknown->error);
        const auto* present = std::get_if<model::Present>(&after);
        if (step.action == Action::remove) {
            if (!std::holds_alternative<model::Absent>(after)) return broken("it is still there");
        } else {
            if (present == nullptr) return broken("it is not there");
            const auto left = planning::difference(present->attributes, resource.attributes);
            if (!left.empty())
                return broken(fmt::format("{} differs still{}", model::to_text(left.front().path),
                                          left.size() > 1 ? fmt::format(", and {} more", left.size() - 1) : ""));
        }
        const std::lock_guard lock(mutex_);
        expected_[step.resource] = digest(after);  // what a later step on the same resource starts from
        return {};
    }

    const model::Plan& plan_;
    const Execution& execution_;
    std::map<ResourceId, const Resource*> desired_;

    std::mutex mutex_;  // guards everything below, and the listener
    std::condition_variable changed_;
    std::vector<State> states_;
    std::map<ResourceId, std::string> expected_;
    unsigned running_ = 0;
    Executed executed_;
};

}  // namespace

Executed execute(const model::Plan& plan, std::span<const Resource> desired, const std::set<ResourceId>& excluded,
                 const Execution& execution) {
    return Run(plan, desired, excluded, execution).run();
}

}  // namespace safe::applying
