// A safe's members as they are: a real LUKS2 header on a file, a real slapd. alice (super) and bob are enrolled, carol
// has an account and waits. Can be put back as it was, at once and as often as wanted.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "plugins/ldap/entries.hpp"
#include "plugins/ldap/ldap_driver.hpp"
#include "plugins/ldap/members_directory.hpp"
#include "plugins/luks/keyslot_areas.hpp"
#include "plugins/luks/vault_keys.hpp"
#include "reconciler/base/password_hash.hpp"
#include "reconciler/members/changes.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/ldap/private_slapd.hpp"
#include "tests/support/luks/vault_world.hpp"
#include "tests/support/members/memory_attempts.hpp"

namespace safe::test {

class MemberWorld {
 public:
    static constexpr std::string_view carols_password = "copper lantern of carol";

    MemberWorld() {
        const auto located = [](std::string text) { return specs::Located<std::string>{std::move(text)}; };
        vault.spec.users = {sample_user("alice", true), sample_user("bob", false), sample_user("carol", true)};
        for (specs::UserSpec& user : vault.spec.users) user.full_name = located(user.name);
        vault.spec.directory = specs::DirectorySpec{};
        vault.spec.directory->ldap = located(slapd.local_uri());
        vault.spec.directory->base = located(PrivateSlapd::base);
        vault.format_vault();
        const auto drivers = ldap::make_drivers(vault.setting());
        for (const model::Resource& resource : drivers.front()->desire(vault.spec, model::Mode::open).resources)
            must(drivers.front()->apply(create(resource.id), resource, model::Absent{}, {}));
        must(with_parts([](const members::Parts& parts) {
            return members::enrol(parts, "bob", secret_of(bobs_password), "alice", secret_of(alices_password));
        }));
        std::filesystem::copy_file(vault.disk("vault"), vault.folder.path() / "kept.img");
        std::filesystem::copy(vault.places().state_dir(), vault.folder.path() / "kept",
                              std::filesystem::copy_options::recursive);
    }

    /// As after the constructor.
    void put_back() {
        namespace fs = std::filesystem;
        fs::copy_file(vault.folder.path() / "kept.img", vault.disk("vault"), fs::copy_options::overwrite_existing);
        fs::remove_all(vault.places().state_dir());
        fs::copy(vault.folder.path() / "kept", vault.places().state_dir(), fs::copy_options::recursive);
        const auto api = ldap::make_api(slapd.local());
        for (const specs::UserSpec& user : vault.spec.users) {
            ldap::Entry entry = ldap::entry_of(layout, model::make_id(model::Kind::account, user.name),
                                               ldap::Accounts("atlas").attributes(user));
            if (user.name != "carol") {
                const auto password = ldap::password_of(keys(user.name, first_password(user.name)).directory);
                entry.attributes.push_back({"userPassword", {"{ARGON2}" + base::hash_of_key(*password).value()}});
                entry.attributes.push_back({"safeGeneration", {"1"}});
            }
            static_cast<void>(api->remove(entry.name));
            if (!api->add(entry)) throw std::runtime_error("cannot put back " + entry.name);
        }
        static_cast<void>(api->modify(layout.group("members"),
                                      {{ldap::Modification::How::replace, "memberUid", {"alice", "bob", "carol"}}}));
    }

    base::Result<members::Done> with_parts(
        const std::function<base::Result<members::Done>(const members::Parts&)>& work) {
        const auto keys = luks::make_vault_keys(vault.setting(), vault.api);
        const auto directory = ldap::make_directory(layout, ldap::make_api(slapd.local()));
        MemoryAttempts attempts;
        return work({*keys, *directory, attempts, {{"alice", true}, {"bob"}, {"carol", true}}});
    }

    [[nodiscard]] members::Keys keys(const std::string& user, std::string_view password) {
        const auto header = luks::make_vault_keys(vault.setting(), vault.api)->read();
        if (!header) throw std::runtime_error(to_text(header.error()));
        return members::derive_keys(secret_of(password), header->derivation, user).value();
    }

    [[nodiscard]] bool opens(const std::string& user, std::string_view password) {
        const auto opened = luks::make_vault_keys(vault.setting(), vault.api)->prove(user, keys(user, password).luks);
        if (!opened) throw std::runtime_error(to_text(opened.error()));
        return opened->has_value();
    }
    /// Asked with ldapwhoami, which shares no code of ours.
    [[nodiscard]] bool binds(const std::string& user, std::string_view password) {
        return slapd.takes(layout.account(user),
                           std::string(ldap::password_of(keys(user, password).directory)->view()));
    }
    [[nodiscard]] int both(const std::string& user, std::string_view password) {
        return opens(user, password) && binds(user, password) ? 1 : 0;
    }
    [[nodiscard]] std::size_t keyslots_of(const std::string& user) {
        const auto header = luks::make_vault_keys(vault.setting(), vault.api)->read();
        return static_cast<std::size_t>(std::ranges::count(header->keyslots, user, &members::Keyslot::user));
    }
    /// No byte of a key lies where no keyslot is.
    [[nodiscard]] bool nothing_left_over() const {
        const luks::Taken taken = vault.header().take().value();
        return taken.image == luks::without_unused(taken.header, taken.image);
    }
    [[nodiscard]] bool has_entry(const std::string& user) const {
        return !slapd.ldapsearch(PrivateSlapd::base, "(uid=" + user + ")", {"dn"}).empty();
    }
    /// What was sent before a kill may still be carried out.
    static void let_settle() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }

    static std::string_view first_password(const std::string& user) {
        return user == "alice" ? alices_password : bobs_password;
    }

    const ldap::Layout layout{"atlas", PrivateSlapd::base};
    VaultWorld vault;
    PrivateSlapd slapd;

 private:
    static model::Step create(const model::ResourceId& id) {
        model::Step step;
        step.resource = id;
        step.verb = "create";
        return step;
    }
    template <class T>
    static void must(const base::Result<T>& result) {
        if (!result) throw std::runtime_error(to_text(result.error()));
    }
};

}  // namespace safe::test
