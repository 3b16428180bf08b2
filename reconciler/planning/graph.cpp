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
    number(desired, observed);
    wanted_needs_.resize(size());
    standing_needs_.resize(size());
    wanted_after_.resize(size());
    dependents_.resize(size());
    for (Node node = 0; node < size(); ++node) {
        std::vector<Node>& wanted = wanted_needs_[node];
        std::vector<Node>& standing = standing_needs_[node];
        if (desired_[node] != nullptr) {
            add_needs(desired_[node]->needs, wanted);
            add_needs(desired_[node]->after, wanted_after_[node]);
        }
        if (is_there(node)) add_needs(std::get<Present>(*observed_[node]).needs, standing);
        standing.insert(standing.end(), wanted.begin(), wanted.end());
        sort_unique(wanted);
        sort_unique(standing);
        sort_unique(wanted_after_[node]);
        for (const Node need : standing) dependents_[need].push_back(node);
        for (const Node earlier : wanted_after_[node])
            if (!rests_on(node, earlier)) dependents_[earlier].push_back(node);
    }
}

void Graph::number(const std::vector<Resource>& desired, const std::map<ResourceId, Observation>& observed) {
    std::vector<const Resource*> declared;
    for (const Resource& resource : desired) declared.push_back(&resource);
    const auto id_of = [](const Resource* resource) -> const ResourceId& { return resource->id; };
    std::ranges::sort(declared, {}, id_of);
    auto wanted = declared.begin();
    auto seen = observed.begin();
    while (wanted != declared.end() || seen != observed.end()) {
        const bool by_name = seen == observed.end() || (wanted != declared.end() && (*wanted)->id <= seen->first);
        const ResourceId& id = by_name ? (*wanted)->id : seen->first;
        ids_.push_back(&id);
        desired_.push_back(by_name ? *wanted++ : nullptr);
        observed_.push_back(seen != observed.end() && seen->first == id ? &(seen++)->second : nullptr);
    }
}

/// What is needed but neither declared nor seen has no node: there is nothing to order it with.
void Graph::add_needs(const std::vector<ResourceId>& needs, std::vector<Node>& to) const {
    Node next = 0;  // a group needs thousands of accounts, one after the other
    for (const ResourceId& need : needs) {
        if (next >= size() || id(next) != need) next = place_of(need);
        if (next < size() && id(next) == need) to.push_back(next++);
    }
}

bool Graph::rests_on(Node node, Node need) const { return std::ranges::binary_search(standing_needs_[node], need); }

std::optional<Node> Graph::find(const ResourceId& id) const {
    const Node place = place_of(id);
    return place < size() && *ids_[place] == id ? std::optional(place) : std::nullopt;
}

Node Graph::place_of(const ResourceId& id) const {
    return static_cast<Node>(
        std::ranges::lower_bound(ids_, id, {}, [](const ResourceId* one) -> const ResourceId& { return *one; }) -
        ids_.begin());
}

}  // namespace safe::planning
