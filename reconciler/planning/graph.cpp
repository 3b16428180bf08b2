#include "reconciler/planning/graph.hpp"

#include <algorithm>

namespace safe::planning {
namespace {

using model::Observation;
using model::Present;
using model::Resource;
using model::ResourceId;

template <class T>
void sort_unique(std::vector<T>& values) {
    std::ranges::sort(values);
    const auto repeated = std::ranges::unique(values);
    values.erase(repeated.begin(), repeated.end());
}

}  // namespace

bool outlasts_its_ground(model::Kind kind) {
    using enum model::Kind;
    return kind == container || kind == keyslot || kind == disk || kind == vm;
}

Graph::Graph(const std::vector<Resource>& desired, const std::map<ResourceId, Observation>& observed) {
    for (const Resource& resource : desired) ids_.push_back(resource.id);
    for (const auto& [id, observation] : observed) ids_.push_back(id);
    sort_unique(ids_);

    // What is needed but neither declared nor seen has no node: there is nothing to order it with.
    const auto add_needs = [&](const std::vector<ResourceId>& needs, std::vector<Node>& to) {
        for (const ResourceId& need : needs)
            if (const std::optional<Node> node = find(need)) to.push_back(*node);
    };

    desired_.resize(size(), nullptr);
    observed_.resize(size(), nullptr);
    wanted_needs_.resize(size());
    standing_needs_.resize(size());
    dependents_.resize(size());
    for (const Resource& resource : desired) {
        const Node node = place_of(resource.id);
        desired_[node] = &resource;
        add_needs(resource.needs, wanted_needs_[node]);
    }
    for (const auto& [id, observation] : observed) {
        const Node node = place_of(id);
        observed_[node] = &observation;
        if (const auto* present = std::get_if<Present>(&observation)) add_needs(present->needs, standing_needs_[node]);
    }
    for (Node node = 0; node < size(); ++node) {
        std::vector<Node>& standing = standing_needs_[node];
        standing.insert(standing.end(), wanted_needs_[node].begin(), wanted_needs_[node].end());
        sort_unique(wanted_needs_[node]);
        sort_unique(standing);
        for (const Node need : standing) dependents_[need].push_back(node);
    }
}

std::optional<Node> Graph::find(const ResourceId& id) const {
    const Node place = place_of(id);
    return place < size() && ids_[place] == id ? std::optional(place) : std::nullopt;
}

Node Graph::place_of(const ResourceId& id) const {
    return static_cast<Node>(std::ranges::lower_bound(ids_, id) - ids_.begin());
}

}  // namespace safe::planning
