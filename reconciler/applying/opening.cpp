#include "reconciler/applying/opening.hpp"

#include <algorithm>

namespace safe::applying {
namespace {

using model::Kind;
using model::ResourceId;

bool is_ground(const ResourceId& id) {
    switch (id.kind) {
        case Kind::session:
        case Kind::container:
        case Kind::mapping:
        case Kind::mount:
        case Kind::exported:
            return true;
        case Kind::ruleset:
            return id.name() == "base" || id.name() == "storage";
        default:
            return false;
    }
}

}  // namespace

bool must_close_again(const model::Report& report) {
    const auto still_to_do = [&](const ResourceId& id) {
        return std::ranges::any_of(report.remaining.steps,
                                   [&](const model::Step& step) { return step.resource == id; });
    };
    const bool failed = std::ranges::any_of(report.outcomes, [&](const model::Outcome& outcome) {
        return outcome.what == model::Outcome::What::failed && is_ground(outcome.resource) &&
               still_to_do(outcome.resource);
    });
    const model::Plan& left = report.remaining;
    const auto of_ground = [](const model::Held& held) { return is_ground(held.resource); };
    if (failed || std::ranges::any_of(left.unknown, of_ground) || std::ranges::any_of(left.blocked, of_ground) ||
        std::ranges::any_of(left.deferred, of_ground))
        return true;
    // Refused half way: what was attached by then stays no longer than what failed half way.
    const auto on_ground = [](const model::Step& step) { return is_ground(step.resource); };
    return !left.refusals.empty() && std::ranges::any_of(left.steps, on_ground);
}

}  // namespace safe::applying
