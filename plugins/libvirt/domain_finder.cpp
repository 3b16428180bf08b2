#include "plugins/libvirt/domain_finder.hpp"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "specs/identity.hpp"

namespace safe::libvirt {

using base::Result;

namespace {

using Index = std::map<std::string_view, const Domain*>;

const Domain* in(const Index& index, std::string_view key) {
    const auto found = index.find(key);
    return found != index.end() ? found->second : nullptr;
}

}  // namespace

Result<Sightings> DomainFinder::find(const driver::Scope& scope, View view) const {
    Sightings sightings;
    if (!scope.enumerate) {
        for (const model::ResourceId& id : scope.ids) sightings.vms.emplace(id.name(), find(id.name(), view));
        return sightings;
    }
    const Result<std::vector<Domain>> domains = api_->domains(view, Which::all);
    if (!domains) return base::fail(domains.error());
    Index by_name;
    Index by_uuid;
    for (const Domain& domain : *domains) {
        by_name.emplace(domain.name, &domain);
        by_uuid.emplace(domain.uuid, &domain);
    }
    for (const model::ResourceId& id : scope.ids) {
        const std::string vm = id.name();
        const Domain* domain = in(by_name, layout_.domain_name(vm));
        if (domain == nullptr) domain = in(by_uuid, specs::uuid_of(layout_.safe(), vm));
        sightings.vms.emplace(vm, domain != nullptr ? judge(vm, *domain, view) : Sighting(model::Absent{}));
    }
    for (const Domain& domain : *domains) {
        // Cheaper than reading every definition of a large hypervisor: the mark is text that cannot be spelled
        // otherwise.
        if (domain.xml.find(owner_uri) == std::string::npos) continue;
        const Result<DomainSeen> seen = parse_domain(domain.xml, view);
        if (!seen) return base::fail(about(seen.error(), make_id(model::Kind::vm, domain.name)));
        const std::optional<Owner>& owner = seen->owner;
        if (!owner || owner->safe != layout_.safe()) continue;
        const std::string& vm = owner->vm;
        if (domain.name != layout_.domain_name(vm) && domain.uuid != specs::uuid_of(layout_.safe(), vm))
            sightings.warnings.push_back(
                fmt::format("the virtual machine {} bears the mark of {}, but is another: a clone?", domain.name,
                            layout_.domain_name(vm)));
        else if (!sightings.vms.contains(vm))
            sightings.vms.emplace(vm, judge(vm, domain, view));
    }
    return sightings;
}

Sighting DomainFinder::find(const std::string& vm, View view) const {
    Result<std::optional<Domain>> looked = api_->domain_named(layout_.domain_name(vm), view);
    if (looked && !*looked) looked = api_->domain_with(specs::uuid_of(layout_.safe(), vm), view);
    if (!looked) return model::Unknown{looked.error()};
    const std::optional<Domain>& domain = *looked;
    return domain ? judge(vm, *domain, view) : Sighting(model::Absent{});
}

Sighting DomainFinder::judge(const std::string& vm, const Domain& domain, View view) const {
    Result<DomainSeen> seen = parse_domain(domain.xml, view);
    if (!seen) return model::Unknown{about(seen.error(), make_id(model::Kind::vm, vm))};
    const std::string name = layout_.domain_name(vm);
    const std::optional<Owner> owner = seen->owner;
    if (!owner || owner->safe != layout_.safe() || owner->vm != vm)
        return model::Foreign{fmt::format("the virtual machine {} was not made by this safe", domain.name),
                              fmt::format("rename it (virsh domrename {} NEW), or remove it: virsh undefine {}",
                                          domain.name, domain.name)};
    if (domain.name != name)
        return model::Foreign{fmt::format("the virtual machine {} has been renamed to {}", name, domain.name),
                              fmt::format("give it its name back: virsh domrename {} {}", domain.name, name)};
    if (domain.uuid != specs::uuid_of(layout_.safe(), vm))
        return model::Foreign{
            fmt::format("the virtual machine {} is not the one this safe made: its UUID differs", name),
            fmt::format("rename it: virsh domrename {} NEW", name)};
    if (!seen->seed.empty() && !layout_.is_seed_of(vm, seen->seed)) {
        const model::Value* extra = seen->hardware.find("extra");
        model::Branch more = extra != nullptr && extra->branch() != nullptr ? *extra->branch() : model::Branch();
        seen->hardware.set("extra", more.set("disk " + seen->seed, "not in the spec"));
        seen->seed.clear();
    }
    return Found{domain, std::move(*seen), *owner};
}

}  // namespace safe::libvirt
