// Driver: one system (libvirt, nftables, ...) as the reconciler sees it. The one meeting point of specs and model.
//
// desire, classify and orphan are pure: no I/O, no clock, the same answer for the same question. observe only reads.
// apply is idempotent: done twice, or again after being killed half way, it ends in the same world. A driver is called
// from several threads at once and guards what it shares. It is never asked to work in its constructor: connections are
// made at the first observe, and a failure to connect is an Unknown, not an exception.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/base/result.hpp"
#include "reconciler/model/plan.hpp"
#include "reconciler/model/resource.hpp"
#include "specs/spec.hpp"

namespace safe::driver {

/// How closing insists, at the cost of what was unsaved in the things that will not go. Never in opening.
struct Insistence {
    /// A guest that is not asleep by then has its power cut. nullopt: however long it takes.
    std::optional<std::chrono::steady_clock::time_point> asleep_by = std::nullopt;
    /// The deadline of closing is over: a mapping that is in use is replaced by one that only gives errors, so that its
    /// key goes.
    bool force = false;

    [[nodiscard]] bool cuts_power() const { return asleep_by && std::chrono::steady_clock::now() >= *asleep_by; }
};

/// What a call may use besides its arguments.
struct Context {
    std::stop_token stop = {};  // long waits end early when it asks
    Insistence insistence = {};
    std::function<void(std::string_view)> progress = nullptr;  // one line for the person who waits; may be empty

    void say(std::string_view line) const {
        if (progress) progress(line);
    }
};

struct Desire {
    std::vector<model::Resource> resources;  // every declared one, present or absent, with the same needs in every mode
    std::vector<model::Refusal> refusals = {};  // declared parts that this build cannot handle, by name
};

/// Which resources to look at.
struct Scope {
    std::vector<model::ResourceId> ids;  // each gets an observation
    bool enumerate = true;               // also find what else of ours is there
    /// What desire() said, where it is known: a hint where to look (a source file, a name that may be taken), and for
    /// what is so until something else happens (a guest that runs as it was saved) which difference that explains.
    /// Never what to answer instead of looking.
    std::span<const model::Resource> wanted = {};
};

class Driver {
 public:
    Driver() = default;
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    Driver(Driver&&) = delete;
    Driver& operator=(Driver&&) = delete;
    virtual ~Driver() = default;

    [[nodiscard]] virtual std::span<const model::Kind> kinds() const = 0;

    [[nodiscard]] virtual Desire desire(const specs::SafeSpec& spec, model::Mode mode) const = 0;

    [[nodiscard]] virtual model::Snapshot observe(const Scope& scope, const Context& context) = 0;

    /// What one difference means and costs. `changes` is empty for a removal.
    [[nodiscard]] virtual model::Assessment classify(model::Action action, const model::Resource& resource,
                                                     const model::Observation& observed,
                                                     std::span<const model::Change> changes) const = 0;

    /// What is wanted of a thing of ours that left the file: absent (a rule, access) or present (kept, orphaned).
    [[nodiscard]] virtual model::Presence orphan(const model::ResourceId& id, const model::Present& observed,
                                                 model::Mode mode) const = 0;

    /// Carries one step out. `observed` is what was seen just before. Returns when the world is as the step promises.
    [[nodiscard]] virtual base::Result<void> apply(const model::Step& step, const model::Resource& resource,
                                                   const model::Observation& observed, const Context& context) = 0;

    /// The deadline of closing is over. Where the system keeps calls waiting for something of ours that does not answer
    /// (storage that is lost), they are made to fail now; what answers is left alone. Beside other calls, which may be
    /// the ones that wait: takes no lock of theirs.
    virtual void wait_no_longer(const Context& /*context*/) {}
};

}  // namespace safe::driver
