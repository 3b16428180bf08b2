// Who needs whom, over everything declared or seen. Built once for a question; nodes are numbered in the order of their
// ids, so that whatever walks the graph does so in one order. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "reconciler/model/resource.hpp"

namespace safe::planning {

using Node = std::size_t;

/// What outlasts what it needs: a header lies on its disk, a definition only names what it will use. It goes and comes
/// with that, and nobody takes it down for it. What rests on it in turn is taken down.
[[nodiscard]] bool outlasts_its_ground(model::Kind kind);

class Graph {
 public:
    Graph(const std::vector<model::Resource>& desired, const model::Observations& observed);

    [[nodiscard]] std::size_t size() const { return ids_.size(); }
    [[nodiscard]] const model::ResourceId& id(Node node) const { return *ids_[node]; }
    /// nullopt when it is neither declared nor seen.
    [[nodiscard]] std::optional<Node> find(const model::ResourceId& id) const;
    /// nullptr when it is not declared.
    [[nodiscard]] const model::Resource* desired(Node node) const { return desired_[node]; }
    /// nullptr when nobody looked.
    [[nodiscard]] const model::Observation* observed(Node node) const { return observed_[node]; }

    /// Declared, and the mode wants it absent.
    [[nodiscard]] bool is_put_away(Node node) const {
        return desired_[node] != nullptr && desired_[node]->presence == model::Presence::absent;
    }
    [[nodiscard]] bool is_there(Node node) const {
        return observed_[node] != nullptr && std::holds_alternative<model::Present>(*observed_[node]);
    }

    /// As the spec wants it; empty for what is not declared.
    [[nodiscard]] const std::vector<Node>& wanted_needs(Node node) const { return wanted_needs_[node]; }
    /// As it was when it was made, and as the spec wants it: whatever must not go while this one is there.
    [[nodiscard]] const std::vector<Node>& standing_needs(Node node) const { return standing_needs_[node]; }
    /// What comes up before `node`, which does not rest on it.
    [[nodiscard]] const std::vector<Node>& wanted_after(Node node) const { return wanted_after_[node]; }
    [[nodiscard]] bool rests_on(Node node, Node need) const;
    /// Whatever goes before `node` does: the inverse of standing_needs and wanted_after.
    [[nodiscard]] const std::vector<Node>& dependents(Node node) const { return dependents_[node]; }

 private:
    void number(const std::vector<model::Resource>& desired, const model::Observations& observed);
    void add_needs(const std::vector<model::ResourceId>& needs, std::vector<Node>& to) const;
    /// Of an id that has a node; of another, where it would be.
    [[nodiscard]] Node place_of(const model::ResourceId& id) const;

    std::vector<const model::ResourceId*> ids_;  // sorted by what they point to
    std::vector<const model::Resource*> desired_;
    std::vector<const model::Observation*> observed_;
    std::vector<std::vector<Node>> wanted_needs_;
    std::vector<std::vector<Node>> standing_needs_;
    std::vector<std::vector<Node>> wanted_after_;
    std::vector<std::vector<Node>> dependents_;
};

}  // namespace safe::planning
