// A directory in memory that can be made to fail before or after any call: the cases that a real one shows only by
// chance. tests/contract/members holds it and slapd to the same.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "reconciler/base/digest.hpp"
#include "reconciler/members/directory.hpp"

namespace safe::test {

class MemoryDirectory final : public members::Directory {
 public:
    /// late: nobody answers, and it is carried out once deliver() is called.
    enum class Fault { none, before, after, late };
    /// What happens to the call that comes next; `call` is its name.
    std::function<Fault(std::string_view call)> fault = [](std::string_view) { return Fault::none; };

    void add_account(const std::string& user) { entries_[user]; }
    /// What was late arrives.
    void deliver() {
        if (late_) static_cast<void>(std::exchange(late_, nullptr)());
    }
    /// As if it had been set up anew.
    void forget_everything() { entries_.clear(); }
    [[nodiscard]] std::map<std::string, std::pair<std::optional<members::Generation>, std::string>> everything() const {
        std::map<std::string, std::pair<std::optional<members::Generation>, std::string>> all;
        for (const auto& [user, entry] : entries_) all[user] = {entry.generation, entry.digest};
        return all;
    }

    base::Result<std::vector<members::DirectoryEntry>> list() override {
        if (fault("list") != Fault::none) return down();
        std::vector<members::DirectoryEntry> listed;
        for (const auto& [user, entry] : entries_) listed.push_back({user, entry.generation});
        return listed;
    }

    base::Result<std::optional<members::DirectoryEntry>> find(std::string_view user) override {
        if (fault("find") != Fault::none) return down();
        const auto entry = entries_.find(user);
        if (entry == entries_.end()) return std::nullopt;
        return members::DirectoryEntry{std::string(user), entry->second.generation};
    }

    std::expected<void, members::NotSet> set_password(std::string_view user, std::optional<members::Generation> before,
                                                      members::Generation after, const base::Secret& key) override {
        const Fault now = fault("set_password");
        if (now == Fault::before) return std::unexpected(members::NotSet{down().error()});
        const auto seen = entries_.find(user);
        const auto write = [this, name = std::string(user), before,
                            entry = Entry{after, base::sha256_hex(key.view()),
                                          seen != entries_.end() ? seen->second.version + 1 : 1}] {
            const auto found = entries_.find(name);
            if (found == entries_.end() || found->second.generation != before ||
                found->second.version + 1 != entry.version)
                return false;
            found->second = entry;
            return true;
        };
        if (now == Fault::late) late_ = write;
        if (now == Fault::late) return std::unexpected(members::NotSet{down().error(), true});
        if (!write())
            return std::unexpected(members::NotSet{
                {"set the password of", std::string(user), "it has moved on", "", base::Error::Kind::refused}});
        if (now == Fault::after) return std::unexpected(members::NotSet{down().error(), true});
        return {};
    }

    base::Result<void> fence(std::string_view user, std::optional<members::Generation> present) override {
        const Fault now = fault("fence");
        if (now == Fault::before || now == Fault::late) return down();
        const auto found = entries_.find(user);
        if (found == entries_.end() || found->second.generation != present)
            return base::fail({"fence", std::string(user), "it has moved on", "", base::Error::Kind::refused});
        ++found->second.version;
        if (now == Fault::after) return down();
        return {};
    }

    base::Result<bool> binds(std::string_view user, const base::Secret& key) override {
        if (key.empty())
            return base::fail({"bind", std::string(user), "the key is empty", "", base::Error::Kind::refused});
        if (fault("binds") != Fault::none) return down();
        const auto entry = entries_.find(user);
        return entry != entries_.end() && entry->second.digest == base::sha256_hex(key.view());
    }

    base::Result<void> remove(std::string_view user) override {
        const Fault now = fault("remove");
        if (now == Fault::before) return down();
        if (const auto entry = entries_.find(user); entry != entries_.end()) entries_.erase(entry);
        if (now == Fault::after) return down();
        return {};
    }

 private:
    struct Entry {
        std::optional<members::Generation> generation;
        std::string digest;
        int version = 0;
    };
    static std::unexpected<base::Error> down() { return base::fail({"ask", "the directory", "it is down", "wait"}); }

    std::map<std::string, Entry, std::less<>> entries_;
    std::function<bool()> late_;
};

}  // namespace safe::test
