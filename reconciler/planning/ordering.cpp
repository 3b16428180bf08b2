#include "reconciler/planning/ordering.hpp"

#include <algorithm>
#include <queue>
#include <tuple>

namespace safe::planning {
namespace {

using model::Action;
using model::Resource;
using model::Step;
using model::StepIndex;
using Want = Verdict::Want;

/// Steps in no particular order, with the edges between them.
class Draft {
 public:
    Draft(const Graph& graph, const std::vector<Verdict>& verdicts, const Assessor& assessor)
        : graph_(graph), verdicts_(verdicts), down_(graph.size()), up_(graph.size()) {
        for (Node node = 0; node < graph.size(); ++node) draft(node, assessor);
        for (Node node = 0; node < graph.size(); ++node) connect(node);
        for (Node node = 0; node < graph.size(); ++node) keep_apart(node);
    }

    std::vector<Step> take() { return std::move(steps_); }

 private:
    void draft(Node node, const Assessor& assessor) {
        const Verdict& verdict = verdicts_[node];
        if (verdict.held_for) {
            up_[node] = append(node, Action::add, assessor);
            down_[node] = append(node, Action::remove, assessor);
        }
        if (verdict.want == Want::nothing) return;
        if (verdict.want == Want::remove || verdict.bracket) down_[node] = append(node, Action::remove, assessor);
        if (verdict.want == Want::add) up_[node] = append(node, Action::add, assessor);
        if (verdict.want == Want::change) up_[node] = append(node, Action::change, assessor);
    }

    StepIndex append(Node node, Action action, const Assessor& assessor) {
        const Verdict& verdict = verdicts_[node];
        const bool taken_down = verdict.bracket && action == Action::remove && verdict.want == Want::add;
        const bool put_back = verdict.held_for && action == Action::remove;
        const bool closes = verdict.assessment.cuts_off && action == Action::add && !verdict.held_for;
        model::Assessment assessment = verdict.assessment;
        if (taken_down || put_back)
            assessment = assessor.classify(Action::remove, *graph_.desired(node), *graph_.observed(node), {});
        if (taken_down) assessment.disruption = std::max(assessment.disruption, model::Disruption::downtime);
        Step step{.resource = graph_.id(node),
                  .action = action,
                  .verb = std::move(assessment.verb),
                  .summary = std::move(assessment.summary),
                  .changes = action == Action::remove ? std::vector<model::Change>{} : verdict.changes,
                  .labels = labels_of(node, action),
                  .requires_done = {},
                  .disruption = assessment.disruption,
                  .destroys = std::move(assessment.destroys),
                  .waits_for = std::move(assessment.waits_for),
                  .cuts_off = assessment.cuts_off};
        if (verdict.bracket && verdict.want == Want::add) step.bracket = graph_.id(*verdict.bracket);
        if (verdict.held_for) step.bracket = graph_.id(*verdict.held_for);
        step.insists = action == Action::remove ? verdict.insists || put_back : closes;
        steps_.push_back(std::move(step));
        return steps_.size() - 1;
    }

    [[nodiscard]] std::map<std::string, std::string> labels_of(Node node, Action action) const {
        const Resource* wanted = graph_.desired(node);
        if (wanted == nullptr || action == Action::remove) return {};
        return wanted->labels;
    }

    void connect(Node node) {
        std::vector<Node> visited;
        const std::optional<StepIndex> up = up_[node];
        const std::optional<StepIndex> down = down_[node];
        const bool held = verdicts_[node].held_for.has_value();
        if (up) {
            if (down) held ? require(*down, *up) : require(*up, *down);
            after_needs(*up, node, graph_.wanted_needs(node), visited, &Step::requires_done);
            visited.clear();
            after_needs(*up, node, graph_.wanted_after(node), visited, &Step::follows);
            visited.clear();
            if (verdicts_[node].brackets()) after_dependents(*up, node, visited, Of::change);
        }
        if (down) {
            visited.clear();
            after_dependents(*down, node, visited, graph_.is_put_away(node) ? Of::put_away : Of::removal);
            visited.clear();
            if (!held) after_held(*down, node, visited, outlasts_its_ground(graph_.id(node).kind));
        }
    }

    /// A removal has what is held for it brought up first; and that of what outlasts its ground, which is not taken
    /// down for a change of that, waits for the change.
    void after_held(StepIndex step, Node node, std::vector<Node>& visited, bool outlasts) {
        for (const Node need : graph_.standing_needs(node)) {
            if (!first_visit(visited, need)) continue;
            const bool first = verdicts_[need].held_for || (outlasts && verdicts_[need].brackets());
            if (const auto up = up_[need]; up && first) require(step, *up);
            after_held(step, need, visited, outlasts);
        }
    }

    /// A change, and the removal of what stands on it, never side by side: both may write to the same thing, as a
    /// guest's definition, which is changed and bears the mark of its sleep. The removal first, unless it has to wait.
    void keep_apart(Node node) {
        const std::optional<StepIndex> change = up_[node];
        if (!change || verdicts_[node].want != Want::change || verdicts_[node].brackets()) return;
        for (const Node dependent : graph_.dependents(node)) {
            const std::optional<StepIndex> removal = down_[dependent];
            if (!removal || verdicts_[dependent].want != Want::remove) continue;
            std::vector<bool> visited(steps_.size());
            if (!comes_after(*removal, *change, visited)) require(*change, *removal);
        }
    }

    [[nodiscard]] bool comes_after(StepIndex step, StepIndex earlier, std::vector<bool>& visited) const {
        if (step == earlier) return true;
        if (visited[step]) return false;
        visited[step] = true;
        const auto does = [&](StepIndex one) { return comes_after(one, earlier, visited); };
        return std::ranges::any_of(steps_[step].requires_done, does) || std::ranges::any_of(steps_[step].follows, does);
    }

    using Edges = std::vector<StepIndex> Step::*;

    /// What `node` needs, or only comes after, is brought up first; one without a step of its own passes the question
    /// on to what it needs. Not a disk to the image that it was made from: that is asked for once.
    void after_needs(StepIndex step, Node node, const std::vector<Node>& needs, std::vector<Node>& visited,
                     Edges edges) {
        const bool made = !up_[node] && graph_.id(node).kind == model::Kind::disk;
        for (const Node need : needs) {
            if (made && graph_.id(need).kind == model::Kind::image) continue;
            if (!first_visit(visited, need)) continue;
            if (const std::optional<StepIndex> up = up_[need])
                require(step, *up, edges);
            else
                after_needs(step, need, graph_.wanted_needs(need), visited, edges);
        }
    }

    enum class Of {
        removal,
        put_away,  // a removal by the mode: what there is to do on it is done first
        change,    // of what everything has to be down that stands on it; what outlasts it has no part in that
    };

    /// What needs `node` is taken down first, or changed so that it needs it no longer.
    void after_dependents(StepIndex step, Node node, std::vector<Node>& visited, Of of) {
        for (const Node dependent : graph_.dependents(node)) {
            if (!first_visit(visited, dependent)) continue;
            const std::optional<StepIndex> up = up_[dependent];
            const std::optional<StepIndex> down = down_[dependent];
            const bool no_part = of == Of::change && outlasts_its_ground(graph_.id(dependent).kind);
            if (no_part || (!up && !down))
                after_dependents(step, dependent, visited, of);
            else if (down)
                require(step, *down);
            else if (graph_.rests_on(dependent, node) &&
                     (of == Of::put_away || !std::ranges::binary_search(graph_.wanted_needs(dependent), node)))
                require(step, *up);
        }
    }

    static bool first_visit(std::vector<Node>& visited, Node node) {
        const auto place = std::ranges::lower_bound(visited, node);
        if (place != visited.end() && *place == node) return false;
        visited.insert(place, node);
        return true;
    }

    void require(StepIndex step, StepIndex earlier, Edges edges = &Step::requires_done) {
        if (step != earlier) (steps_[step].*edges).push_back(earlier);
    }

    const Graph& graph_;
    const std::vector<Verdict>& verdicts_;
    std::vector<std::optional<StepIndex>> down_;
    std::vector<std::optional<StepIndex>> up_;
    std::vector<Step> steps_;
};

/// Each edge once; what must be done is over then, too.
void tidy(Step& step) {
    for (std::vector<StepIndex>* edges : {&step.requires_done, &step.follows}) {
        std::ranges::sort(*edges);
        const auto repeated = std::ranges::unique(*edges);
        edges->erase(repeated.begin(), repeated.end());
    }
    std::erase_if(step.follows, [&](StepIndex one) { return std::ranges::binary_search(step.requires_done, one); });
}

/// Kahn's algorithm with a priority, so that there is one order only. Shorter than `steps` when there is a circle.
std::vector<StepIndex> topological_order(const std::vector<Step>& steps) {
    std::vector<std::vector<StepIndex>> later(steps.size());
    std::vector<std::size_t> missing(steps.size(), 0);
    for (StepIndex i = 0; i < steps.size(); ++i)
        for (const std::vector<StepIndex>* edges : {&steps[i].requires_done, &steps[i].follows})
            for (const StepIndex earlier : *edges) {
                later[earlier].push_back(i);
                ++missing[i];
            }
    const auto comes_later = [&](StepIndex a, StepIndex b) {
        const bool a_adds = steps[a].action != Action::remove;
        const bool b_adds = steps[b].action != Action::remove;
        return std::tie(b_adds, steps[b].resource, b) < std::tie(a_adds, steps[a].resource, a);
    };
    std::priority_queue<StepIndex, std::vector<StepIndex>, decltype(comes_later)> ready(comes_later);
    for (StepIndex i = 0; i < steps.size(); ++i)
        if (missing[i] == 0) ready.push(i);
    std::vector<StepIndex> order;
    while (!ready.empty()) {
        const StepIndex next = ready.top();
        ready.pop();
        order.push_back(next);
        for (const StepIndex i : later[next])
            if (--missing[i] == 0) ready.push(i);
    }
    return order;
}

}  // namespace

void order_steps(const Graph& graph, const std::vector<Verdict>& verdicts, const Question& question,
                 const Assessor& assessor, model::Plan& plan) {
    std::vector<Step> steps = Draft(graph, verdicts, assessor).take();
    for (Step& step : steps) tidy(step);
    const std::vector<StepIndex> order = topological_order(steps);
    if (order.size() != steps.size()) {
        plan.refusals.push_back({.subject = question.safe,
                                 .error = {.attempt = "order the steps for",
                                           .object = question.safe,
                                           .cause = "some resources need each other in a circle",
                                           .advice = "this is a defect of a driver; please report it with the spec",
                                           .kind = base::Error::Kind::refused}});
        return;
    }
    std::vector<StepIndex> place(steps.size());
    for (StepIndex i = 0; i < order.size(); ++i) place[order[i]] = i;
    for (const StepIndex i : order) {
        Step step = std::move(steps[i]);
        for (std::vector<StepIndex>* edges : {&step.requires_done, &step.follows}) {
            for (StepIndex& earlier : *edges) earlier = place[earlier];
            std::ranges::sort(*edges);
        }
        plan.steps.push_back(std::move(step));
    }
}

}  // namespace safe::planning
