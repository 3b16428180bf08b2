// A directory server that answers as the test says. Copies share nothing; for one thread.
#pragma once

#include <functional>

#include "plugins/ldap/ldap_api.hpp"

namespace safe::ldap::test {

class ScriptedApi final : public Api {
 public:
    std::function<Answer<std::vector<Entry>>(const Query&)> sees = [](const Query&) { return std::vector<Entry>(); };
    std::function<Answer<void>(const std::string& name)> modifies = [](const std::string&) { return Answer<void>(); };

    using Api::modify;
    using Api::search;
    Answer<void> search(const Query& query, const std::function<void(Entry)>& found) override {
        Answer<std::vector<Entry>> seen = sees(query);
        if (!seen) return std::unexpected(seen.error());
        for (Entry& entry : *seen) found(std::move(entry));
        return {};
    }
    Answer<void> add(const Entry& /*entry*/) override { return {}; }
    Answer<void> modify(const std::string& name, const std::vector<Modification>& /*changes*/,
                        const std::string& /*assertion*/) override {
        return modifies(name);
    }
    Answer<void> remove(const std::string& /*name*/) override { return {}; }
    Answer<bool> binds(const std::string& /*name*/, const base::Secret& /*password*/) override { return false; }
};

inline std::unexpected<Failure> failure(Failure::Kind kind, const std::string& object = "") {
    return std::unexpected(Failure{kind, {"ask", object, "it says no"}});
}

}  // namespace safe::ldap::test
