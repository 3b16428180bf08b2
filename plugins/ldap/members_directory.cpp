#include "plugins/ldap/members_directory.hpp"

#include <algorithm>
#include <charconv>

#include "plugins/ldap/escaping.hpp"
#include "plugins/ldap/ldap_driver.hpp"
#include "plugins/ldap/units.hpp"
#include "reconciler/base/password_hash.hpp"

namespace safe::ldap {
namespace {

using base::Error;
using base::Result;
using members::DirectoryEntry;
using members::Generation;
using members::NotSet;
using model::Kind;

class LdapDirectory final : public members::Directory {
 public:
    LdapDirectory(Layout layout, std::unique_ptr<Api> api) : layout_(std::move(layout)), api_(std::move(api)) {}

    Result<std::vector<DirectoryEntry>> list() override {
        const Answer<std::vector<Entry>> found = api_->search(
            {.base = layout_.unit(Kind::account), .filter = equals(mark, layout_.safe), .attributes = asked_for()});
        if (!found && found.error().kind == Failure::Kind::missing)
            return base::fail(unit_hidden("list the members of", layout_.safe, Kind::account));
        if (!found) return base::fail(found.error().error);
        std::vector<DirectoryEntry> entries;
        for (const Entry& entry : *found) {
            const auto id = Layout::id_of(Kind::account, entry);
            if (!id) continue;  // the driver warns of it
            Result<DirectoryEntry> read = read_entry(id->name(), entry);
            if (!read) return base::fail(read.error());
            entries.push_back(*std::move(read));
        }
        std::ranges::sort(entries, {}, &DirectoryEntry::user);
        return entries;
    }

    Result<std::optional<DirectoryEntry>> find(std::string_view user) override {
        const Result<std::optional<Entry>> entry = entry_of(user);
        if (!entry) return base::fail(entry.error());
        if (!*entry) return std::nullopt;
        Result<DirectoryEntry> read = read_entry(user, **entry);
        if (!read) return base::fail(read.error());
        return *std::move(read);
    }

    std::expected<void, NotSet> set_password(std::string_view user, std::optional<Generation> before, Generation after,
                                             const base::Secret& key) override {
        const Result<std::optional<Version>> there = version_of(user, before);
        if (!there) return std::unexpected(NotSet{there.error()});
        if (!*there) return std::unexpected(NotSet{moved(user, "there is no such entry")});
        const Result<base::Secret> password = password_of(key);
        if (!password) return std::unexpected(NotSet{password.error()});
        const Result<std::string> hash = base::hash_of_key(*password);
        if (!hash) return std::unexpected(NotSet{hash.error()});

        const std::string attribute(generation_attribute);
        std::vector<Modification> changes;
        // Taking the old value away, or adding a first one, is what fails when somebody else was faster.
        if (before) changes.push_back({Modification::How::remove, attribute, {std::to_string(*before)}});
        changes.push_back({Modification::How::add, attribute, {std::to_string(after)}});
        changes.push_back({Modification::How::replace, std::string(password_attribute), {"{ARGON2}" + *hash}});
        const Answer<void> done = api_->modify(layout_.account(user), changes, (*there)->assertion);
        if (done) return {};
        // Servers have several words for "it is not as you think": asked again, it is clear.
        const bool answered = done.error().kind != Failure::Kind::unreachable;
        if (answered)
            if (const auto now = find(user); now && (!*now || (*now)->generation != before))
                return std::unexpected(NotSet{moved(user, done.error().error.cause)});
        return std::unexpected(NotSet{done.error().error, !answered});
    }

    /// What was sent before asserts the version that it has seen. Any change at all makes another one.
    Result<void> fence(std::string_view user, std::optional<Generation> present) override {
        const Result<std::optional<Version>> there = version_of(user, present);
        if (!there) return base::fail(there.error());
        if (!*there) return base::fail(moved(user, "there is no such entry"));
        if ((*there)->assertion.empty())
            return base::fail({"fence off late changes of", std::string(user), "the directory shows no entryCSN",
                               "let directory.bind read the operational attributes of accounts"});
        const Answer<void> done =
            api_->modify(layout_.account(user), {{Modification::How::replace, std::string(mark), {layout_.safe}}},
                         (*there)->assertion);
        if (done) return {};
        if (done.error().kind == Failure::Kind::not_as_was) return base::fail(moved(user, done.error().error.cause));
        return base::fail(done.error().error);
    }

    Result<bool> binds(std::string_view user, const base::Secret& key) override {
        if (key.empty())
            return base::fail(
                {"log in to the directory as", std::string(user), "the key is empty", "", Error::Kind::refused});
        if (!Layout::can_name(user)) return false;
        const Result<base::Secret> password = password_of(key);
        if (!password) return base::fail(password.error());
        const Answer<bool> taken = api_->binds(layout_.account(user), *password);
        if (!taken) return base::fail(taken.error().error);
        return *taken;
    }

    Result<void> remove(std::string_view user) override {
        if (!Layout::can_name(user)) return {};
        const Result<std::optional<DirectoryEntry>> there = find(user);
        if (!there) return base::fail(there.error());
        if (Result<void> left = leave_groups(user); !left) return left;
        if (!*there) return {};
        const Answer<void> removed = api_->remove(layout_.account(user));
        if (removed || removed.error().kind == Failure::Kind::missing) return {};
        return base::fail(removed.error().error);
    }

 private:
    /// A filter that matches the entry for as long as nobody changes it; empty where the directory shows no version.
    struct Version {
        std::string assertion;
    };

    /// nullopt when there is no such entry; refused when its generation is another.
    Result<std::optional<Version>> version_of(std::string_view user, std::optional<Generation> expected) {
        const Result<std::optional<Entry>> entry = entry_of(user);
        if (!entry) return base::fail(entry.error());
        if (!*entry) return std::nullopt;
        const Result<DirectoryEntry> read = read_entry(user, **entry);
        if (!read) return base::fail(read.error());
        if (read->generation != expected) return base::fail(moved(user, "its generation is another one"));
        const std::string_view version = (*entry)->first(version_attribute);
        return Version{version.empty() ? std::string() : equals(version_attribute, version)};
    }

    Result<std::optional<Entry>> entry_of(std::string_view user) {
        if (!Layout::can_name(user)) return std::nullopt;
        Answer<std::vector<Entry>> found =
            api_->search({.base = layout_.account(user), .depth = Query::Depth::itself, .attributes = asked_for()});
        if (!found && found.error().kind != Failure::Kind::missing) return base::fail(found.error().error);
        if (!found || found->empty()) return not_below_unit(user);
        if (!layout_.owns(found->front())) return base::fail(not_ours(user));
        return std::move(found->front());
    }

    static std::vector<std::string> asked_for() {
        return {std::string(mark), std::string(generation_attribute), std::string(version_attribute)};
    }

    /// Whoever may not see the unit may not see either who is in it, nor whether it is there at all.
    [[nodiscard]] Error unit_hidden(std::string attempt, std::string_view object, Kind kind) const {
        return hidden(
            std::move(attempt), std::string(object),
            "the directory shows no " + layout_.unit(kind) + ": it is new, or directory.bind may not read it");
    }

    /// An entry is not shown: there is none only if the unit that it would be in is shown.
    Result<std::optional<Entry>> not_below_unit(std::string_view user) {
        const Answer<bool> shown = shows(*api_, layout_.unit(Kind::account));
        if (!shown) return base::fail(shown.error().error);
        if (!*shown) return base::fail(unit_hidden("find in the directory", user, Kind::account));
        return std::nullopt;
    }

    static Error not_ours(std::string_view user) {
        return {"use the directory's entry of", std::string(user), "it is not ours",
                "give the user another name, or remove the entry", Error::Kind::refused};
    }

    static Error moved(std::string_view user, std::string cause) {
        return {"set the password of", std::string(user), std::move(cause),
                "somebody else has changed it meanwhile; look at `safectl user list`", Error::Kind::refused};
    }

    static Result<DirectoryEntry> read_entry(std::string_view user, const Entry& entry) {
        DirectoryEntry read{.user = std::string(user)};
        const Values* values = entry.find(generation_attribute);
        if (values == nullptr) return read;
        Generation generation = 0;
        const std::string& text = values->front();
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), generation);
        if (values->size() != 1 || error != std::errc() || end != text.data() + text.size() || generation == 0)
            return base::fail({"read the generation of", std::string(user), "it is no number from 1 on",
                               "see who has changed " + std::string(generation_attribute) + " in the directory"});
        read.generation = generation;
        return read;
    }

    Result<void> leave_groups(std::string_view user) {
        const Answer<std::vector<Entry>> groups =
            api_->search({.base = layout_.unit(Kind::group),
                          .filter = all_of({equals(mark, layout_.safe), equals("memberUid", user)}),
                          .attributes = {std::string(mark)}});
        if (!groups && groups.error().kind == Failure::Kind::missing)
            return base::fail(unit_hidden("take out of the groups", user, Kind::group));
        if (!groups) return base::fail(groups.error().error);
        for (const Entry& group : *groups) {
            const Answer<void> left =
                api_->modify(group.name, {{Modification::How::remove, "memberUid", {std::string(user)}}});
            if (!left && left.error().kind != Failure::Kind::not_as_was) return base::fail(left.error().error);
        }
        return {};
    }

    const Layout layout_;
    const std::unique_ptr<Api> api_;
};

}  // namespace

std::unique_ptr<members::Directory> make_directory(const driver::Setting& setting) {
    if (!setting.spec.directory) return nullptr;
    return make_directory(Layout{setting.places.safe(), *setting.spec.directory->base},
                          make_api(options_of(*setting.spec.directory)));
}

std::unique_ptr<members::Directory> make_directory(Layout layout, std::unique_ptr<Api> api) {
    return std::make_unique<LdapDirectory>(std::move(layout), std::move(api));
}

Result<base::Secret> password_of(const base::Secret& key) {
    Result<base::Secret> text = base::Secret::of_size(key.size() * 2);
    if (!text) return text;
    constexpr std::string_view digits = "0123456789abcdef";
    std::size_t at = 0;
    for (const std::byte byte : key.bytes()) {
        const auto value = std::to_integer<unsigned>(byte);
        text->bytes()[at++] = static_cast<std::byte>(digits[value >> 4U]);
        text->bytes()[at++] = static_cast<std::byte>(digits[value & 15U]);
    }
    return text;
}

}  // namespace safe::ldap
