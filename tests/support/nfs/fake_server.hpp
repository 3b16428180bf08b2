// An NFS server in memory: the two tables, clients that hold something, and who may be served. The appliance's scenario
// "volumes" asserts the same of the real one. Not for more than one thread.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "plugins/nfs/nfs_api.hpp"

namespace safe::test {

class FakeServer final : public nfs::Api {
 public:
    nfs::Tables content;
    nfs::Server state;
    std::map<std::filesystem::path, dev_t> mounts;
    std::map<dev_t, std::vector<nfs::Holder>> held;
    std::optional<base::Error> blind = std::nullopt;
    bool stubborn = false;  // clients keep what they hold
    int grants = 0;
    int starts = 0;

    base::Result<nfs::Tables> tables() override {
        if (blind) return base::fail(*blind);
        return content;
    }
    base::Result<nfs::Server> server() override {
        if (blind) return base::fail(*blind);
        return state;
    }
    base::Result<std::optional<dev_t>> mounted(const std::filesystem::path& path) override {
        const auto found = mounts.find(path);
        if (found == mounts.end()) return std::nullopt;
        return found->second;
    }
    base::Result<std::vector<nfs::Holder>> holders(dev_t device) override { return held[device]; }

    base::Result<void> grant(const nfs::Export& wanted) override {
        ++grants;
        erase(content.granted, wanted.path, wanted.client);
        nfs::Export listed = wanted;
        // Defaults that nobody asked for are listed too.
        listed.options.insert({"wdelay", "hide", "secure_locks", "acl", "no_pnfs", "anonuid=65534", "anongid=65534"});
        content.granted.push_back(std::move(listed));
        content.cached.clear();
        return {};
    }
    base::Result<void> withdraw(const std::filesystem::path& path, const std::string& client) override {
        if (!erase(content.granted, path, client))
            return base::fail({"withdraw the export of", path.string(), "Could not find it", "look"});
        content.cached.clear();
        return {};
    }
    base::Result<void> flush() override {
        content.cached.clear();
        return {};
    }
    base::Result<void> expire(const std::string& id) override {
        if (!stubborn)
            for (auto& [device, holders] : held) std::erase_if(holders, [&](const auto& one) { return one.id == id; });
        return {};
    }
    base::Result<void> start(const std::string& address) override {
        ++starts;
        if (state.threads == 0) state = {.threads = 8, .versions = {"4.2"}, .listeners = {address + ":2049"}};
        state.missing.clear();
        return {};
    }

 private:
    static bool erase(std::vector<nfs::Export>& table, const std::filesystem::path& path, const std::string& client) {
        return std::erase_if(table, [&](const auto& one) { return one.path == path && one.client == client; }) > 0;
    }
};

}  // namespace safe::test
