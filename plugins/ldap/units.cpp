#include "plugins/ldap/units.hpp"

#include <fmt/format.h>

#include "plugins/ldap/escaping.hpp"

namespace safe::ldap {
namespace {

/// Adds an entry that may be there already, whoever has made it.
Answer<void> make_if_missing(Api& api, const Entry& entry) {
    const Answer<bool> shown = shows(api, entry.name);
    if (!shown) return std::unexpected(shown.error());
    if (*shown) return {};
    Answer<void> added = api.add(entry);
    if (!added && added.error().kind == Failure::Kind::exists) return {};
    return added;
}

Answer<Entry> base_entry(const Layout& layout) {
    const std::optional<NamePart> part = first_part(layout.base);
    Values classes;
    if (part && part->type == "dc")
        classes = {"organization", "dcObject"};
    else if (part && part->type == "o")
        classes = {"organization"};
    else if (part && part->type == "ou")
        classes = {"organizationalUnit"};
    if (!part || classes.empty())
        return std::unexpected(Failure{Failure::Kind::failed,
                                       {"make the base", layout.base, "it is not called by dc=, o= or ou=",
                                        "make that entry yourself, then apply again", base::Error::Kind::refused}});
    classes.emplace_back(mark_class);
    Entry entry{layout.base, {{"objectClass", std::move(classes)}, {part->type, {part->value}}}};
    entry.attributes.push_back({std::string(mark), {layout.safe}});
    if (part->type == "dc") entry.attributes.push_back({"o", {layout.safe}});
    return entry;
}

Entry unit_entry(const Layout& layout, model::Kind kind) {
    Entry entry{layout.unit(kind), {}};
    entry.attributes = {{"objectClass", {"organizationalUnit", std::string(mark_class)}},
                        {"ou", {Layout::unit_name(kind)}},
                        {std::string(mark), {layout.safe}}};
    return entry;
}

}  // namespace

Answer<bool> shows(Api& api, const std::string& name) {
    const Answer<std::vector<Entry>> found =
        api.search({.base = name, .depth = Query::Depth::itself, .attributes = {"1.1"}});
    if (found) return !found->empty();
    if (found.error().kind == Failure::Kind::missing) return false;
    return std::unexpected(found.error());
}

base::Error hidden(std::string attempt, std::string object, std::string cause) {
    return {std::move(attempt), std::move(object), std::move(cause),
            "apply if it is new; otherwise give directory.bind the rights that examples/directory/access.ldif gives"};
}

Answer<std::vector<std::string>> judge_missing_unit(Api& api, const Layout& layout, model::Kind kind) {
    const Answer<bool> base = shows(api, layout.base);
    if (!base) return std::unexpected(base.error());
    if (!*base)
        return std::vector{
            fmt::format("the directory shows nothing of {}: it is new, or directory.bind may not read it, and then "
                        "nothing is known of its accounts and none can be made",
                        layout.base)};
    if (kind != model::Kind::account) return {};
    const std::string people = layout.unit(model::Kind::account);
    const std::string groups = layout.unit(model::Kind::group);
    const Answer<bool> made = shows(api, groups);
    if (!made) return std::unexpected(made.error());
    if (!*made) return {};
    return std::unexpected(Failure{
        Failure::Kind::missing,
        {"list the accounts of", layout.safe,
         fmt::format("the directory shows {} and no {}: directory.bind may not read it, or somebody has removed it",
                     groups, people),
         fmt::format("give directory.bind the rights that examples/directory/access.ldif gives; if {} is gone, make "
                     "it again, or remove {} too, then apply",
                     people, groups)}});
}

Answer<void> make_units(Api& api, const Layout& layout) {
    const Answer<bool> base = shows(api, layout.base);
    if (!base) return std::unexpected(base.error());
    if (!*base) {
        const Answer<Entry> entry = base_entry(layout);
        if (!entry) return std::unexpected(entry.error());
        if (Answer<void> made = make_if_missing(api, *entry); !made) return made;
    }
    for (const model::Kind kind : {model::Kind::account, model::Kind::group})
        if (Answer<void> made = make_if_missing(api, unit_entry(layout, kind)); !made) return made;
    return {};
}

}  // namespace safe::ldap
