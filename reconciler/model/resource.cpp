#include "reconciler/model/resource.hpp"

#include "reconciler/base/digest.hpp"

namespace safe::model {
namespace {

struct CanonicalObservation {
    std::string operator()(const Absent&) const { return "absent"; }
    std::string operator()(const Present& present) const { return "present" + canonical_text(present.attributes); }
    std::string operator()(const Foreign&) const { return "foreign"; }
    std::string operator()(const Unknown&) const { return "unknown"; }
    std::string operator()(const Deferred&) const { return "deferred"; }
};

}  // namespace

std::string_view to_text(Mode mode) {
    switch (mode) {
        case Mode::open:
            return "open";
        case Mode::closed:
            return "closed";
        case Mode::locked:
            return "locked";
    }
    return "?";
}

void merge(Observations from, Observations& to) {
    if (from.size() > to.size()) from.swap(to);
    to.merge(from);
}

std::string digest(const Observation& observation) {
    return base::blake2b_hex(std::visit(CanonicalObservation{}, observation));
}

}  // namespace safe::model
