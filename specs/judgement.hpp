// What the parts of the validator share: the spec under judgement, what of it is sound, its VMs by name and address,
// and where faults go. Lives for one validation; points into the spec.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "specs/diagnostic.hpp"
#include "specs/endpoints.hpp"
#include "specs/reader.hpp"
#include "specs/spec.hpp"
#include "specs/suggestion.hpp"

namespace safe::specs {

class Judgement {
 public:
    Judgement(const SafeSpec& judged, const Unsound& unsound, Diagnostics& diagnostics);

    const SafeSpec& spec;
    Diagnostics& diagnostics;

    [[nodiscard]] bool is_sound(const std::string& path) const { return !unsound_.covers(path); }
    [[nodiscard]] bool is_sound(const VmSpec& vm, std::string_view key) const;
    [[nodiscard]] bool is_sound(const RuleSpec& rule, std::string_view key) const;
    [[nodiscard]] bool is_sound(const VolumeSpec& volume, std::string_view key) const;
    [[nodiscard]] bool is_sound(const UserSpec& user, std::string_view key) const;
    /// Nothing that lies in it is unsound either: what is not in the spec was not written.
    [[nodiscard]] bool is_whole(const std::string& path) const { return !unsound_.touches(path); }

    /// nullptr when there is none.
    [[nodiscard]] const VmSpec* vm(std::string_view name) const;

    [[nodiscard]] const VolumeSpec* volume(std::string_view name) const;

    /// The VM of that name; when there is none, an error that suggests one.
    [[nodiscard]] const VmSpec* require_vm(const Located<std::string>& name);

    /// The same for a volume.
    [[nodiscard]] const VolumeSpec* require_volume(const Located<std::string>& name);

    /// What a rule names; when it names nothing, an error that suggests something.
    [[nodiscard]] std::optional<Endpoint> require_endpoint(const Located<std::string>& word);

    /// The first VM whose address lies in the range; nullptr when none does.
    [[nodiscard]] const VmSpec* vm_in(const Cidr& range) const { return first_in(by_address_, range); }
    [[nodiscard]] const VmSpec* workspace_in(const Cidr& range) const { return first_in(workspaces_, range); }

 private:
    using ByAddress = std::map<Ipv4, const VmSpec*>;
    [[nodiscard]] static const VmSpec* first_in(const ByAddress& vms, const Cidr& range);
    [[nodiscard]] bool are_vms_known() const { return is_sound("vms"); }

    const Unsound& unsound_;
    std::unordered_map<std::string_view, const VmSpec*> by_name_;
    ByAddress by_address_;
    ByAddress workspaces_;
    std::vector<std::string_view> vm_names_;
    std::unordered_map<std::string_view, const VolumeSpec*> volumes_;
    std::vector<std::string_view> volume_names_;
    std::vector<std::string_view> endpoint_names_;
    Suggester suggester_;
};

/// "users" and "super-users": what a rule calls the two zones.
[[nodiscard]] bool is_zone(std::string_view word);

// The parts of the validator.
void judge_network(Judgement& judgement);
void judge_vms(Judgement& judgement);
void judge_mounts(Judgement& judgement);
void judge_volumes(Judgement& judgement);
void judge_suspend(Judgement& judgement);
void judge_people(Judgement& judgement);
void judge_removals(Judgement& judgement);
void judge_firewall(Judgement& judgement);

}  // namespace safe::specs
