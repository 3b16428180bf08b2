#include "plugins/ldap/units.hpp"

#include "plugins/ldap/escaping.hpp"

namespace safe::ldap {
namespace {

bool is_there(const Answer<std::vector<Entry>>& found) { return found && !found->empty(); }

/// Adds an entry that may be there already, whoever has made it.
Answer<void> make_if_missing(Api& api, const Entry& entry) {
    const Answer<std::vector<Entry>> found =
        api.search({.base = entry.name, .depth = Query::Depth::itself, .attributes = {"1.1"}});
    if (is_there(found)) return {};
    if (!found && found.error().kind != Failure::Kind::missing) return std::unexpected(found.error());
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

Answer<void> make_units(Api& api, const Layout& layout) {
    const auto base = api.search({.base = layout.base, .depth = Query::Depth::itself, .attributes = {"1.1"}});
    if (!base && base.error().kind != Failure::Kind::missing) return std::unexpected(base.error());
    if (!is_there(base)) {
        const Answer<Entry> entry = base_entry(layout);
        if (!entry) return std::unexpected(entry.error());
        if (Answer<void> made = make_if_missing(api, *entry); !made) return made;
    }
    for (const model::Kind kind : {model::Kind::account, model::Kind::group})
        if (Answer<void> made = make_if_missing(api, unit_entry(layout, kind)); !made) return made;
    return {};
}

}  // namespace safe::ldap
