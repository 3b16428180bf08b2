#include "plugins/libvirt/seed.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/guest_part.hpp"
#include "reconciler/base/digest.hpp"
#include "specs/identity.hpp"

namespace safe::libvirt {
namespace {

using model::Branch;
using nlohmann::json;

/// cloud-init wants the file; this one asks for nothing.
constexpr std::string_view no_user_data = "#cloud-config\n{}\n";

const Branch& branch_of(const Branch& branch, std::string_view key) {
    static const Branch nothing;
    const model::Value* value = branch.find(key);
    return value != nullptr && value->branch() != nullptr ? *value->branch() : nothing;
}

/// Seeds have words, yes and no, and branches of them.
json to_json(const Branch& branch) {
    json object = json::object();
    for (const model::Entry& entry : branch.entries()) {
        if (const Branch* inner = entry.value.branch())
            object[entry.key] = to_json(*inner);
        else if (const bool* yes = model::get<bool>(branch, entry.key))
            object[entry.key] = *yes;
        else
            object[entry.key] = text_of(branch, entry.key);
    }
    return object;
}

Branch from_json(const json& object) {
    Branch branch;
    for (const auto& [key, value] : object.items()) {
        if (value.is_object())
            branch.set(key, from_json(value));
        else if (value.is_boolean())
            branch.set(key, value.get<bool>());
        else
            branch.set(key, value.get<std::string>());
    }
    return branch;
}

json meta_data(const Branch& seed, std::string_view user_data) {
    json mounts = json::array();
    for (const model::Entry& entry : branch_of(seed, "mounts").entries()) {
        json mount = to_json(*entry.value.branch());
        mount["path"] = entry.key;
        mounts.push_back(std::move(mount));
    }
    json keys = json::array();
    for (const model::Entry& entry : branch_of(seed, "super-users").entries())
        keys.push_back(text_of(branch_of(seed, "super-users"), entry.key));
    const std::string client = text_of(seed, "client");
    return {{"instance-id", fmt::format("{}-{}", client, base::sha256_hex(user_data).substr(0, 16))},
            {"local-hostname", text_of(seed, "hostname")},
            {"safe", {{"client", client}, {"mounts", std::move(mounts)}, {"super-users", std::move(keys)}}}};
}

}  // namespace

Branch wanted_seed(const specs::SafeSpec& spec, const specs::VmSpec& vm, const Layout& layout) {
    Branch seed;
    seed.set("client", specs::uuid_of(layout.safe(), vm.name)).set("hostname", layout.domain_name(vm.name));
    Branch mounts;
    for (const specs::VmMount& mount : vm.mounts) {
        const specs::VolumeSpec* volume = spec.volume(*mount.volume);
        if (!spec.network || volume == nullptr) continue;  // the validator refuses both
        const auto server = to_text(spec.network->address->address);
        mounts.set(*mount.path, Branch()
                                    .set("source", fmt::format("{}:{}", server, layout.exported(volume->name).string()))
                                    .set("read-only", *volume->access == specs::Access::read_only));
    }
    if (!mounts.empty()) seed.set("mounts", std::move(mounts));
    Branch keys;
    for (const specs::UserSpec& user : spec.users) {
        if (!*user.super) continue;
        for (std::size_t i = 0; i < user.ssh_keys.size(); ++i)
            keys.set(fmt::format("{} {}", user.name, i + 1), *user.ssh_keys[i]);
    }
    if (!keys.empty()) seed.set("super-users", std::move(keys));
    seed.set("guest-part", base::sha256_hex(guest_part).substr(0, 12));
    if (vm.cloud_init && vm.cloud_init->user_data)
        seed.set("user-data", (**vm.cloud_init->user_data).resolved).set("version", as_its_source);
    return seed;
}

std::map<std::string, std::string> seed_files(const Branch& seed, const std::optional<std::string>& user_data) {
    std::string handed_over = user_data ? *user_data : std::string(no_user_data);
    // JSON is YAML, which is how cloud-init reads it; in ASCII it is so whatever is in it.
    std::string meta = meta_data(seed, handed_over).dump(2, ' ', true) + "\n";
    return {{"meta-data", std::move(meta)},
            {"user-data", std::move(handed_over)},
            {"vendor-data", std::string(guest_part)}};
}

std::string record_text(const SeedRecord& record) {
    return json{{"seed", to_json(record.seed)}, {"user-data", record.user_data_sha256}}.dump(2) + "\n";
}

std::optional<SeedRecord> parse_seed_record(std::string_view text) {
    try {
        const json record = json::parse(text);
        return SeedRecord{from_json(record.at("seed")), record.at("user-data")};
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

bool is_known_user_data(std::string_view content) {
    static constexpr std::array<std::string_view, 11> beginnings{
        "#cloud-config", "#!",           "#include", "#cloud-boothook", "#part-handler", "#upstart-job", "## template:",
        "Content-Type:", "MIME-Version", "From ",    "\x1F\x8B"};
    return std::ranges::any_of(beginnings, [&](std::string_view start) { return content.starts_with(start); });
}

}  // namespace safe::libvirt
