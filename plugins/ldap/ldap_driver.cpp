#include "plugins/ldap/ldap_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>

#include "plugins/ldap/entries.hpp"
#include "plugins/ldap/escaping.hpp"
#include "plugins/ldap/units.hpp"
#include "reconciler/base/characters.hpp"

namespace safe::ldap {
namespace {

using model::Absent;
using model::Attributes;
using model::Foreign;
using model::Kind;
using model::make_id;
using model::Observation;
using model::Presence;
using model::Present;
using model::Resource;
using model::ResourceId;

constexpr std::array both_kinds{Kind::account, Kind::group};
constexpr std::size_t names_a_question = 100;

/// The VM that the directory runs in, when it is one of this spec.
std::optional<ResourceId> host_of(const specs::SafeSpec& spec) {
    if (!spec.directory) return std::nullopt;
    const std::string& uri = *spec.directory->ldap;
    const std::size_t scheme = uri.find("://");
    if (scheme == std::string::npos) return std::nullopt;
    const std::string host = uri.substr(scheme + 3, uri.find_first_of(":/", scheme + 3) - scheme - 3);
    for (const specs::VmSpec& vm : spec.vms)
        if (vm.address && to_text(**vm.address) == host) return make_id(Kind::power, vm.name);
    return std::nullopt;
}

class LdapDriver final : public driver::Driver {
 public:
    LdapDriver(Layout layout, std::optional<ResourceId> host, std::unique_ptr<Api> api)
        : layout_(std::move(layout)), host_(std::move(host)), api_(std::move(api)) {}

    [[nodiscard]] std::span<const Kind> kinds() const override { return both_kinds; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode /*mode*/) const override {
        driver::Desire desire;
        const Accounts accounts(layout_.safe);
        std::vector<std::string> everybody;
        std::vector<std::string> super_users;
        desire.resources.reserve(spec.users.size() + 2);
        everybody.reserve(spec.users.size());
        for (const specs::UserSpec* user : by_name(spec.users)) {
            desire.resources.push_back(
                {make_id(Kind::account, user->name), Presence::present, accounts.attributes(*user)});
            everybody.push_back(user->name);
            if (*user->super) super_users.push_back(user->name);
        }
        refuse_equal_numbers(desire);
        desire.resources.push_back(group(members_group, everybody));
        desire.resources.push_back(group(super_group, super_users));
        return desire;
    }

    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        for (const Kind kind : both_kinds) {
            std::vector<const ResourceId*> asked;
            for (const ResourceId& id : scope.ids)
                if (id.kind == kind) asked.push_back(&id);
            if (!scope.enumerate && asked.empty()) continue;
            if (Answer<Found> looked = look(kind, asked, scope.enumerate)) {
                model::merge(std::move(looked->observations), snapshot.observations);
                for (std::string& warning : looked->warnings)
                    if (std::ranges::find(snapshot.warnings, warning) == snapshot.warnings.end())
                        snapshot.warnings.push_back(std::move(warning));
            } else {
                for (const ResourceId* id : asked) snapshot.observations.insert_or_assign(*id, unseen(looked.error()));
                snapshot.enumeration_failed = looked.error().error;
            }
        }
        return snapshot;
    }

    [[nodiscard]] model::Assessment classify(model::Action action, const Resource& resource,
                                             const Observation& observed,
                                             std::span<const model::Change> changes) const override {
        switch (action) {
            case model::Action::add:
                return {.verb = "create", .summary = summary_of(resource.id.kind, resource.attributes)};
            case model::Action::change:
                return {.verb = "adjust",
                        .summary = fmt::format("{} difference{}", changes.size(), changes.size() == 1 ? "" : "s"),
                        .disruption = model::Disruption::live};
            case model::Action::remove: {
                const auto* present = std::get_if<Present>(&observed);
                return {.verb = "delete",
                        .summary = present ? summary_of(resource.id.kind, present->attributes) : std::string()};
            }
        }
        return {};
    }

    [[nodiscard]] Presence orphan(const ResourceId& /*id*/, const Present& /*observed*/,
                                  model::Mode /*mode*/) const override {
        return Presence::absent;  // whoever leaves the file loses the access
    }

    [[nodiscard]] base::Result<void> apply(const model::Step& step, const Resource& resource,
                                           const Observation& /*observed*/,
                                           const driver::Context& /*context*/) override {
        const Answer<void> done = step.action == model::Action::remove ? remove(resource.id) : make(resource);
        if (done) return {};
        base::Error error = done.error().error;
        error.cause = fmt::format("cannot {} {}: {}", error.attempt, error.object, error.cause);
        error.attempt = step.verb;
        error.object = to_text(resource.id);
        return base::fail(std::move(error));
    }

 private:
    [[nodiscard]] Resource group(std::string_view name, const std::vector<std::string>& users) const {
        Resource resource{make_id(Kind::group, name), Presence::present, group_attributes(layout_.safe, name, users)};
        // So that nobody is named who is not there: members join after their account, and leave before it goes.
        for (const std::string& user : users) resource.needs.push_back(make_id(Kind::account, user));
        return resource;
    }

    /// As the directory's answer is kept, so that the two are compared side by side.
    static std::vector<const specs::UserSpec*> by_name(const std::vector<specs::UserSpec>& users) {
        std::vector<const specs::UserSpec*> sorted;
        sorted.reserve(users.size());
        for (const specs::UserSpec& user : users) sorted.push_back(&user);
        std::ranges::sort(sorted, {}, &specs::UserSpec::name);
        return sorted;
    }

    static void refuse_equal_numbers(driver::Desire& desire) {
        std::unordered_map<std::int64_t, const ResourceId*> owners;
        owners.reserve(desire.resources.size());
        for (const Resource& account : desire.resources) {
            const auto [other, is_new] =
                owners.emplace(*model::get<std::int64_t>(account.attributes, "uid-number"), &account.id);
            if (is_new) continue;
            desire.refusals.push_back(
                {to_text(account.id),
                 {"number", to_text(account.id),
                  "its uid number, which follows from its name, is that of " + other->second->name(),
                  "give one of the two another name", base::Error::Kind::refused}});
        }
    }

    static std::string summary_of(Kind kind, const Attributes& attributes) {
        if (kind == Kind::account) {
            const auto* name = model::get<std::string>(attributes, "name");
            return name != nullptr ? *name : std::string();
        }
        const model::Value* members = attributes.find("members");
        const std::size_t count = members != nullptr && members->branch() ? members->branch()->entries().size() : 0;
        return fmt::format("{} member{}", count, count == 1 ? "" : "s");
    }

    // --- looking

    /// A server in a VM of this spec that does not answer may only have to be started.
    [[nodiscard]] Observation unseen(const Failure& failure) const {
        if (failure.kind == Failure::Kind::unreachable && host_) return model::Deferred{*host_, failure.error};
        return model::Unknown{failure.error};
    }

    [[nodiscard]] Observation seen(Kind kind, Entry entry) const {
        if (!layout_.owns(entry))
            return Foreign{fmt::format("the entry {} does not bear {}={}", entry.name, mark, layout_.safe),
                           "give the user another name, or remove the entry if nobody needs it"};
        Present present;
        if (kind == Kind::account) {
            const std::string_view generation = entry.first(generation_attribute);
            if (!generation.empty()) present.facts.set("generation", generation);
        } else if (const Values* users = entry.find("memberUid")) {
            for (const std::string& user : *users)
                if (!user.empty() && user.find('/') == std::string::npos)
                    present.needs.push_back(make_id(Kind::account, user));
            if (!std::ranges::is_sorted(present.needs)) std::ranges::sort(present.needs);
        }
        present.attributes = attributes_of(kind, std::move(entry));
        return present;
    }

    struct Found {
        model::Observations observations;
        std::vector<std::string> warnings;
    };

    Answer<Found> look(Kind kind, const std::vector<const ResourceId*>& asked, bool enumerate) {
        Answer<Found> seen = enumerate ? find(kind, equals(mark, layout_.safe)) : Found();
        if (!seen) return seen;
        // What is not listed may still be there and be somebody else's.
        const std::vector<const ResourceId*> missing = without(asked, seen->observations);
        for (std::span<const ResourceId* const> left(missing); !left.empty();) {
            const auto batch = left.first(std::min(left.size(), names_a_question));
            left = left.subspan(batch.size());
            std::vector<std::string> names;
            for (const ResourceId* id : batch) names.push_back(equals(naming_attribute(kind), id->name()));
            Answer<Found> found = find(kind, any_of(names));
            if (!found) return found;
            model::merge(std::move(found->observations), seen->observations);
            std::ranges::move(found->warnings, std::back_inserter(seen->warnings));
            for (const ResourceId* id : batch) seen->observations.try_emplace(*id, Absent{});
        }
        return seen;
    }

    /// Side by side: nearly always both are in order, and the same.
    static std::vector<const ResourceId*> without(const std::vector<const ResourceId*>& asked,
                                                  const model::Observations& seen) {
        std::vector<const ResourceId*> missing;
        auto place = seen.begin();
        for (const ResourceId* id : asked) {
            if (place == seen.end() || place->first != *id) place = seen.find(*id);
            if (place == seen.end())
                missing.push_back(id);
            else
                ++place;
        }
        return missing;
    }

    Answer<Found> find(Kind kind, const std::string& filter) {
        Answer<Found> found = find_once(kind, filter);
        if (found || found.error().kind != Failure::Kind::missing) return found;
        return find_once(kind, filter);  // the units may have been made between two of its questions
    }

    Answer<Found> find_once(Kind kind, const std::string& filter) {
        const Query query{.base = layout_.unit(kind), .filter = filter, .attributes = asked_for(kind)};
        Found found;
        Answer<void> searched = api_->search(query, [&](Entry entry) {
            if (std::optional<ResourceId> id = Layout::id_of(kind, entry))
                found.observations.insert_or_assign(std::move(*id), seen(kind, std::move(entry)));
            else
                found.warnings.push_back(
                    "an entry of the directory bears our mark under a name that nothing of "
                    "ours can have, and is left alone: " +
                    base::printable(std::string_view(entry.name).substr(0, 200)));
        });
        if (searched) return found;
        if (searched.error().kind != Failure::Kind::missing) return std::unexpected(std::move(searched.error()));
        Answer<std::vector<std::string>> warnings = judge_missing_unit(*api_, layout_, kind);
        if (!warnings) return std::unexpected(std::move(warnings.error()));
        return Found{.observations = {}, .warnings = *std::move(warnings)};
    }

    // --- changing

    Answer<void> make(const Resource& resource) {
        const Entry wanted = entry_of(layout_, resource.id, resource.attributes);
        for (const bool again : {false, true}) {
            const Answer<std::vector<Entry>> there = look_at(wanted.name, resource.id.kind);
            if (there) return adjust(resource, there->front());
            if (there.error().kind != Failure::Kind::missing) return std::unexpected(there.error());
            if (auto units = make_units(*api_, layout_); !units) return units;
            if (auto free = check_number(resource); !free) return free;
            Answer<void> added = api_->add(wanted);
            if (added || added.error().kind != Failure::Kind::exists) return added;
            // Somebody else was faster, or we ourselves before a connection broke: then it is shown now.
            if (again)
                return std::unexpected(Failure{Failure::Kind::failed,
                                               hidden("make", wanted.name, "it is there, and the directory hides it")});
        }
        return {};
    }

    Answer<void> adjust(const Resource& resource, const Entry& there) {
        if (!layout_.owns(there)) return std::unexpected(not_ours(there.name));
        const std::vector<Modification> changes = modifications(resource.id.kind, there, resource.attributes);
        if (changes.empty()) return {};
        return api_->modify(there.name, changes);
    }

    Answer<void> remove(const ResourceId& id) {
        const std::string name = layout_.name_of(id);
        const Answer<std::vector<Entry>> there = look_at(name, id.kind);
        if (!there && there.error().kind == Failure::Kind::missing) return was_gone(id);
        if (!there) return std::unexpected(there.error());
        if (!layout_.owns(there->front())) return std::unexpected(not_ours(name));
        Answer<void> removed = api_->remove(name);
        if (!removed && removed.error().kind == Failure::Kind::missing) return {};
        return removed;
    }

    /// What is to be removed is not shown, and was when it was planned: gone only if the rest is shown still.
    Answer<void> was_gone(const ResourceId& id) {
        const std::string unit = layout_.unit(id.kind);
        const Answer<bool> shown = shows(*api_, unit);
        if (!shown) return std::unexpected(shown.error());
        if (*shown) return {};
        return std::unexpected(Failure{Failure::Kind::failed, hidden("remove", layout_.name_of(id),
                                                                     "the directory shows no " + unit + " any more")});
    }

    /// One entry, or a Failure.
    Answer<std::vector<Entry>> look_at(const std::string& name, Kind kind) {
        Answer<std::vector<Entry>> found =
            api_->search({.base = name, .depth = Query::Depth::itself, .attributes = asked_for(kind)});
        if (found && found->empty())
            return std::unexpected(Failure{Failure::Kind::missing, {"read", name, "the server shows no such entry"}});
        return found;
    }

    /// Two owners of one number would own each other's files.
    Answer<void> check_number(const Resource& resource) {
        const std::string_view attribute = resource.id.kind == Kind::account ? "uid-number" : "gid-number";
        const std::string_view theirs = resource.id.kind == Kind::account ? "uidNumber" : "gidNumber";
        const std::string number = std::to_string(*model::get<std::int64_t>(resource.attributes, attribute));
        const std::string of_kind = resource.id.kind == Kind::account ? "posixAccount" : "posixGroup";
        const Answer<std::vector<Entry>> owners =
            api_->search({.base = layout_.base,
                          .depth = Query::Depth::below,
                          .filter = all_of({equals("objectClass", of_kind), equals(theirs, number)}),
                          .attributes = {"1.1"}});
        if (!owners && owners.error().kind == Failure::Kind::missing)
            return std::unexpected(Failure{Failure::Kind::failed, hidden("look for other owners of its number below",
                                                                         layout_.base, "the directory hides it")});
        if (!owners) return std::unexpected(owners.error());
        if (owners->empty()) return {};
        return std::unexpected(
            Failure{Failure::Kind::failed,
                    {"give the number " + number + " to", to_text(resource.id), "it is that of " + owners->front().name,
                     "give that entry another number", base::Error::Kind::refused}});
    }

    static Failure not_ours(const std::string& name) {
        return {Failure::Kind::failed,
                {"change", name, "the entry is not ours", "plan again", base::Error::Kind::refused}};
    }

    const Layout layout_;
    const std::optional<ResourceId> host_;
    const std::unique_ptr<Api> api_;
};

}  // namespace

Options options_of(const specs::DirectorySpec& directory) {
    Options options{.uri = *directory.ldap, .ca = std::nullopt, .bind = std::nullopt};
    if (directory.ca) options.ca = directory.ca->value.resolved;
    if (directory.bind) options.bind = Account{*directory.bind->dn, *directory.bind->password};
    return options;
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting) {
    if (!setting.spec.directory) return {};
    return make_drivers(setting, make_api(options_of(*setting.spec.directory)));
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting, std::unique_ptr<Api> api) {
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    if (!setting.spec.directory) return drivers;
    drivers.push_back(std::make_unique<LdapDriver>(Layout{setting.places.safe(), *setting.spec.directory->base},
                                                   host_of(setting.spec), std::move(api)));
    return drivers;
}

}  // namespace safe::ldap
