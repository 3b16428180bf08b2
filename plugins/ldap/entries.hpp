// Accounts and groups, in the words of a spec, as model attributes, and as entries of the directory. Pure. The table in
// entries.cpp is the whole translation: what it does not name is not ours and is never read, compared or written.
#pragma once

#include <vector>

#include "plugins/ldap/layout.hpp"
#include "reconciler/model/resource.hpp"
#include "specs/spec.hpp"

namespace safe::ldap {

/// The accounts of one safe: what they have in common is worked out once.
class Accounts {
 public:
    explicit Accounts(std::string_view safe);
    [[nodiscard]] model::Attributes attributes(const specs::UserSpec& user) const;

 private:
    std::string safe_;
    std::uint32_t members_number_;
};

[[nodiscard]] model::Attributes group_attributes(std::string_view safe, std::string_view group,
                                                 const std::vector<std::string>& users);

/// What of it is ours, in the same form.
[[nodiscard]] model::Attributes attributes_of(model::Kind kind, Entry entry);

/// A whole new entry.
[[nodiscard]] Entry entry_of(const Layout& layout, const model::ResourceId& id, const model::Attributes& wanted);

/// From an entry of ours to the wanted attributes; nothing that is right already is written.
[[nodiscard]] std::vector<Modification> modifications(model::Kind kind, const Entry& entry,
                                                      const model::Attributes& wanted);

/// What must be asked for to judge an entry of this kind.
[[nodiscard]] std::vector<std::string> asked_for(model::Kind kind);

}  // namespace safe::ldap
