#include "tests/golden/world.hpp"

#include <yaml-cpp/yaml.h>

#include <stdexcept>

#include "specs/values.hpp"

namespace safe::testing {
namespace {

using model::Branch;
using model::Observation;
using model::Resource;
using model::ResourceId;
using model::Value;

[[noreturn]] void fault(const std::string& message) { throw std::runtime_error("observed.yaml: " + message); }

ResourceId id_of(const std::string& text) {
    const auto id = model::parse_resource_id(text);
    if (!id) fault(text + " is no resource");
    return *id;
}

/// Of the type that `like` has; without it by its looks.
Value scalar_of(const YAML::Node& node, const Value* like) {
    const auto text = node.as<std::string>();
    const model::Scalar* scalar = like != nullptr ? like->scalar() : nullptr;
    if (scalar != nullptr ? std::holds_alternative<model::Bytes>(*scalar) : specs::parse_byte_size(text).has_value())
        return model::Bytes{specs::parse_byte_size(text).value().bytes};
    if (scalar != nullptr
            ? std::holds_alternative<std::int64_t>(*scalar)
            : node.Tag() != "!" && !text.empty() && text.find_first_not_of("0123456789") == std::string::npos)
        return node.as<std::int64_t>();
    if (scalar != nullptr ? std::holds_alternative<bool>(*scalar) : text == "true" || text == "false")
        return node.as<bool>();
    return text;
}

Value value_of(const YAML::Node& node, const Value* like) {
    if (node.IsScalar()) return scalar_of(node, like);
    if (!node.IsMap()) fault("a value is a scalar or a map");
    Branch branch;
    for (const auto& entry : node) branch.set(entry.first.as<std::string>(), value_of(entry.second, nullptr));
    return branch;
}

/// `branch` with the entry at `path` replaced by what `edit` makes of it, at every depth a copy.
template <class Edit>
Branch edited(const Branch& branch, const std::vector<std::string>& path, std::size_t depth, const Edit& edit) {
    if (depth + 1 == path.size()) return edit(branch, path[depth]);
    const Value* below = branch.find(path[depth]);
    if (below == nullptr || below->branch() == nullptr) fault("there is no " + path[depth]);
    Branch copy = branch;
    copy.set(path[depth], edited(*below->branch(), path, depth + 1, edit));
    return copy;
}

Branch without(const Branch& branch, const std::string& key) {
    if (branch.find(key) == nullptr) fault("there is no " + key + " to remove");
    Branch rest(branch.ordered() ? Branch::Order::significant : Branch::Order::none);
    for (const model::Entry& entry : branch.entries())
        if (entry.key != key) rest.set(entry.key, entry.value);
    return rest;
}

Branch with_first(const Branch& branch, const std::string& key) {
    const Value* value = branch.find(key);
    if (value == nullptr || !branch.ordered()) fault(key + " cannot be moved");
    Branch moved(Branch::Order::significant);
    moved.set(key, *value);
    for (const model::Entry& entry : branch.entries())
        if (entry.key != key) moved.set(entry.key, entry.value);
    return moved;
}

Branch patched(Branch attributes, const YAML::Node& patch) {
    for (const auto& item : patch["set"]) {
        const auto path = item[0].as<std::vector<std::string>>();
        attributes = edited(attributes, path, 0, [&](Branch branch, const std::string& key) {
            return branch.set(key, value_of(item[1], branch.find(key)));
        });
    }
    for (const auto& item : patch["remove"])
        attributes = edited(attributes, item.as<std::vector<std::string>>(), 0, without);
    for (const auto& item : patch["first"])
        attributes = edited(attributes, item.as<std::vector<std::string>>(), 0, with_first);
    return attributes;
}

Observation observation_of(const ResourceId& id, const YAML::Node& node, const Resource* declared) {
    if (node.IsScalar()) {
        if (node.as<std::string>() == "absent") return model::Absent{};
        if (node.as<std::string>() == "foreign")
            return model::Foreign{to_text(id) + " is there and does not bear our mark",
                                  "rename or remove it, or choose another name"};
        fault(to_text(id) + ": " + node.as<std::string>() + " is no state");
    }
    if (node["absent"]) return model::Absent{*value_of(node["absent"], nullptr).branch()};
    if (node["unknown"])
        return model::Unknown{{"look at", to_text(id), node["unknown"].as<std::string>(), "try again"}};
    if (node["deferred"])
        return model::Deferred{id_of(node["deferred"].as<std::string>()),
                               {"look at", to_text(id), node["deferred"].as<std::string>() + " is not up"}};
    model::Present present;
    if (declared != nullptr) present = {.attributes = declared->attributes, .needs = declared->needs};
    if (node["present"]) present.attributes = *value_of(node["present"], nullptr).branch();
    if (node["facts"]) present.facts = *value_of(node["facts"], nullptr).branch();
    if (node["needs"]) {
        present.needs.clear();
        for (const auto& need : node["needs"]) present.needs.push_back(id_of(need.as<std::string>()));
    }
    present.attributes = patched(std::move(present.attributes), node);
    return present;
}

}  // namespace

std::optional<specs::WantedMode> read_mode(const std::filesystem::path& file) {
    const YAML::Node root = YAML::LoadFile(file.string());
    if (!root["mode"]) return std::nullopt;
    const auto text = root["mode"].as<std::string>();
    for (const auto mode :
         {specs::WantedMode::automatic, specs::WantedMode::open, specs::WantedMode::closed, specs::WantedMode::locked})
        if (specs::to_text(mode) == text) return mode;
    fault(text + " is no mode");
}

WrittenWorld read_world(const std::filesystem::path& file, const std::map<ResourceId, Resource>& desired) {
    const YAML::Node root = YAML::LoadFile(file.string());
    const auto kind = root["world"].as<std::string>();
    if (kind != "empty" && kind != "as declared") fault("world is `empty` or `as declared`");
    WrittenWorld world;
    for (const auto& [id, resource] : desired) {
        if (kind == "as declared" && resource.presence == model::Presence::present)
            world.observed.emplace(id, model::Present{.attributes = resource.attributes, .needs = resource.needs});
        else
            world.observed.emplace(id, model::Absent{});
    }
    for (const auto& entry : root["but"]) {
        const ResourceId id = id_of(entry.first.as<std::string>());
        const auto declared = desired.find(id);
        world.observed.insert_or_assign(
            id, observation_of(id, entry.second, declared != desired.end() ? &declared->second : nullptr));
    }
    for (const auto& entry : root["blind"]) {
        const auto name = entry.first.as<std::string>();
        const auto parsed = model::parse_kind(name);
        if (!parsed) fault(name + " is no kind");
        world.blind.emplace(
            *parsed, base::Error{"list", "everything of kind " + name, entry.second.as<std::string>(), "try again"});
    }
    return world;
}

}  // namespace safe::testing
