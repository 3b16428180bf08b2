#include "reconciler/planning/graph.hpp"

#include <algorithm>
#include <iterator>

namespace safe::planning {
namespace {

using model::Observation;
using model::Present;
using model::Resource;
using model::ResourceId;

template <class T>
void sort_unique(std::vector<T>& values) {
    if (!std::ranges::is_sorted(values)) std::ranges::sort(values);
    const auto repeated = std::ranges::unique(values);
    values.erase(repeated.begin(), repeated.end());
}

/// By id. The drivers whose resources are many give them in order; of one kind, they lie side by side.
std::vector<const Resource*> in_order(const std::vector<Resource>& resources) {
    const auto id_of = [](const Resource* resource) -> const ResourceId& { return resource->id; };
    std::map<model::Kind, std::vector<const Resource*>> by_kind;
    for (const Resource& resource : resources) by_kind[resource.id.kind].push_back(&resource);
    std::vector<const Resource*> all;
    all.reserve(resources.size());
    for (auto& [kind, some] : by_kind) {
        if (!std::ranges::is_sorted(some, {}, id_of)) std::ranges::sort(some, {}, id_of);
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

}  // namespace

bool outlasts_its_ground(model::Kind kind) {
    using enum model::Kind;
    return kind == container || kind == keyslot || kind == disk || kind == vm;
}

Graph::Graph(const std::vector<Resource>& desired, const model::Observations& observed) {
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
        std::vector<Node> made_with;
        if (is_there(node)) add_needs(std::get<Present>(*observed_[node]).needs, made_with);
        sort_unique(wanted);
        sort_unique(made_with);
        std::ranges::set_union(made_with, wanted, std::back_inserter(standing));
        sort_unique(wanted_after_[node]);
        for (const Node need : standing) dependents_[need].push_back(node);
        for (const Node earlier : wanted_after_[node])
            if (!rests_on(node, earlier)) dependents_[earlier].push_back(node);
    }
}

void Graph::number(const std::vector<Resource>& desired, const model::Observations& observed) {
    const std::vector<const Resource*> declared = in_order(desired);
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
