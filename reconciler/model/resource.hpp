// What is wanted and what is seen. Resource comes from Driver::desire, Observation and Snapshot from Driver::observe;
// the planner compares the two and nothing else. Values, copied freely.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "reconciler/base/error.hpp"
#include "reconciler/model/attributes.hpp"
#include "reconciler/model/resource_id.hpp"

namespace safe::model {

/// The mode in effect, computed by intent/ from the operator's wish and the people inside.
enum class Mode { open, closed, locked };
[[nodiscard]] std::string_view to_text(Mode mode);

enum class Presence { absent, present };

/// One declared thing, in every mode with the same `needs` and `after`.
struct Resource {
    ResourceId id;
    Presence presence = Presence::absent;
    Attributes attributes = {};          // what the spec owns of it; may be empty when absent is wanted
    std::vector<ResourceId> needs = {};  // created before this one, removed after it
    /// Up after these and down before them, without resting on them: one that fails or cannot be seen is passed by.
    std::vector<ResourceId> after = {};
    std::vector<std::string> notes = {};  // said in the plan whenever the resource is wanted present; never compared
    /// For people: what the entry with this key means, where its value is too long to read; never compared.
    std::map<std::string, std::string> labels = {};
};

/// Seen, and it is ours: the owned attributes in the same form as the desired ones, what it needs (kept on the object
/// itself, so that what left the file is still taken down in order), and facts that are never compared.
struct Present {
    Attributes attributes;
    std::vector<ResourceId> needs = {};
    Attributes facts = {};
};
/// Looked, and it is not there. Facts may still tell something ("suspended in RAM").
struct Absent {
    Attributes facts = {};
};
/// Something not ours bears the name. It is never touched; wanting ours there is refused.
struct Foreign {
    std::string what;  // how it was recognised as not ours
    std::string advice = {};
};
/// Could not be looked at. Never treated as absent.
struct Unknown {
    base::Error error;
};
/// Could not be looked at because something declared is not there yet.
struct Deferred {
    ResourceId on;
    base::Error error;
};

using Observation = std::variant<Absent, Present, Foreign, Unknown, Deferred>;

using Observations = std::map<ResourceId, Observation>;

/// All into one, where nothing is in both: the few go to the many.
void merge(Observations from, Observations& to);

/// A digest over presence and owned attributes (never facts): what a plan rests on, and what is checked again just
/// before a step. 64 hexadecimal digits.
[[nodiscard]] std::string digest(const Observation& observation);

/// Something declared that this build or this host cannot handle, or that a guard forbids. Refuses the whole plan.
struct Refusal {
    std::string subject;  // "ruleset/base", "network.uplink (atlas.yaml:12:3)"
    base::Error error;
    bool operator==(const Refusal&) const = default;
};

/// What one look of a driver found.
struct Snapshot {
    /// Set when listing what is there failed: then nothing of that driver's kinds is called orphaned or removed.
    std::optional<base::Error> enumeration_failed = std::nullopt;
    /// An observation for every id asked for, and one for everything else of ours that was found.
    Observations observations = {};
    /// What the host cannot do at all.
    std::vector<Refusal> refusals = {};
    /// Worth a line in the plan, no reason to stop ("no KVM here: guests are emulated").
    std::vector<std::string> warnings = {};
};

}  // namespace safe::model
