// What would be done: immutable data, without a clock and without a closure. The same spec, mode and observations give
// the same plan, byte for byte. Made by planning/, printed by view/, carried out by applying/.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/model/resource.hpp"

namespace safe::model {

using Path = std::vector<std::string>;

/// One difference inside a resource. `before` is what is there, `after` what is wanted.
struct Change {
    enum class What { add, remove, change, move };
    Path path;
    What what = What::change;
    std::optional<Value> before = std::nullopt;  // for a move: the position it has, counted from 0
    std::optional<Value> after = std::nullopt;   // for a move: the position it gets
    bool operator==(const Change&) const = default;
};

/// "rules.users-to-desktop".
[[nodiscard]] std::string to_text(const Path& path);

/// What a step costs those who work in the safe. What a change of mode itself asks for counts as none.
enum class Disruption { none, live, restart, downtime, irreversible };
[[nodiscard]] std::string_view to_text(Disruption disruption);
[[nodiscard]] std::optional<Disruption> parse_disruption(std::string_view text);

enum class Action { add, change, remove };
[[nodiscard]] std::string_view to_text(Action action);

/// What a driver says of one difference: pure, from Driver::classify.
struct Assessment {
    std::string verb;     // the one word in the plan: "define", "start", "allow", "restart"
    std::string summary;  // the rest of the line: "4 CPUs, 8 GiB"
    Disruption disruption = Disruption::none;
    bool dependents_down = false;  // a change: everything that needs this is removed first and recreated after
    /// A removal that leaves the thing standing on what it needs (a guest put to sleep), so that nothing below it can
    /// change.
    bool keeps_ground = false;
    /// It takes from people the ways in, and nothing from anything else (rules that cut them off): an addition of that
    /// kind counts as closing, and when locking such steps need not wait for others.
    bool cuts_off = false;
    std::string destroys = {};  // irreversible only: what would be lost, in words; such a step is refused
    std::optional<std::string> waits_for = std::nullopt;  // a person must do something first: "a key"
};

using StepIndex = std::size_t;

struct Step {
    ResourceId resource;
    Action action = Action::add;
    std::string verb;
    std::string summary;
    std::vector<Change> changes;                // for add: from nothing; empty for remove
    std::map<std::string, std::string> labels;  // Resource::labels
    std::vector<StepIndex> requires_done;       // indices of earlier steps of the same plan, ascending
    std::vector<StepIndex> follows = {};        // the same, of those that need only be over, done or not
    Disruption disruption = Disruption::none;
    std::string destroys = {};
    /// Taken down and brought back for a change of this resource below it; or, where the mode wants it absent, brought
    /// up and taken down again for a step of this resource above it.
    std::optional<ResourceId> bracket = std::nullopt;
    /// Closing: begun although what comes first has failed, because not trying would leave the safe open.
    bool insists = false;
    std::optional<std::string> waits_for = std::nullopt;  // a person must do something first: "a key"
    bool cuts_off = false;                                // Assessment::cuts_off

    /// It closes something, for good: it is carried out even of a plan that is refused.
    [[nodiscard]] bool closes() const { return insists && !bracket; }
    /// It is a step on one of these, or made only for one.
    [[nodiscard]] bool rests_on(const std::set<ResourceId>& excluded) const;
};

/// Something that has no step, and why.
struct Held {
    ResourceId resource;
    base::Error error;
    std::optional<ResourceId> on = std::nullopt;  // deferred: what it waits for; blocked: what is unknown below it
    bool closes = false;                          // blocked: it goes because of the mode, and cannot
};

/// Kinds that could not be listed, for one reason: none of theirs is removed or called orphaned.
struct Blind {
    base::Error error;
    std::vector<Kind> kinds;
};

struct Plan {
    std::string safe;
    Mode mode = Mode::closed;
    std::string spec_digest;
    std::map<ResourceId, std::string> observed;  // digest of each observation the plan rests on
    std::vector<Step> steps;                     // in an order that respects requires_done and follows
    std::vector<Blind> blind;
    std::vector<Held> unknown;
    std::vector<Held> deferred;
    std::vector<Held> blocked;         // wants a step, but something it depends on is unknown or deferred
    std::vector<Held> dormant;         // lies on something that this mode puts away: nothing is asked or done meanwhile
    std::vector<ResourceId> orphaned;  // left the file; kept, reported
    std::vector<Refusal> refusals;     // not empty: nothing of this plan may be applied, but for what closes
    std::vector<std::string> notes;

    /// Steps that could run now: neither they nor what they require wait for a person, are among `excluded` or stopped
    /// by a refusal; what closes does not mind what it requires.
    [[nodiscard]] std::size_t runnable(const std::set<ResourceId>& excluded = {}) const;
    [[nodiscard]] Disruption disruption() const;
};

/// What became of a plan's steps.
struct Outcome {
    enum class What { done, failed, skipped };
    ResourceId resource;
    Action action = Action::add;
    std::string verb;
    What what = What::done;
    std::optional<base::Error> error = std::nullopt;  // for failed and skipped
};

[[nodiscard]] std::string_view to_text(Outcome::What what);

struct Report {
    std::vector<Outcome> outcomes;  // of every round, in the order they ended
    Plan remaining;                 // what a last look still found to do
    bool interrupted = false;
    int rounds = 0;
};

}  // namespace safe::model
