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
    bool stubborn = false;          // clients keep what they hold
    std::chrono::seconds ahead{0};  // of the mark before the clock: while it is, answers are kept
    std::optional<base::Error> packets_stay = std::nullopt;
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

    base::Result<void> grant(const std::filesystem::path& path, const std::vector<std::string>& clients,
                             const std::string& options) override {
        ++grants;
        for (const std::string& client : clients) {
            erase(content.granted, path, client);
            // Defaults that nobody asked for are listed too.
            nfs::Export listed{
                path, client, {"wdelay", "hide", "secure_locks", "acl", "no_pnfs", "anonuid=65534", "anongid=65534"}};
            for (std::string_view rest = options; !rest.empty();) {
                const auto end = rest.find(',');
                listed.options.emplace(rest.substr(0, end));
                rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            }
            content.granted.push_back(std::move(listed));
        }
        throw_away();
        return {};
    }
    base::Result<void> withdraw(const std::vector<nfs::Export>& exports) override {
        for (const nfs::Export& one : exports)
            if (!erase(content.granted, one.path, one.client))
                return base::fail({"withdraw the export of", one.path.string(), "Could not find it", "look"});
        throw_away();
        return {};
    }
    base::Result<void> flush() override {
        throw_away();
        return {};
    }
    /// Every question brings the clock nearer to the mark.
    base::Result<std::chrono::seconds> flush_due() override {
        if (ahead > std::chrono::seconds(0)) --ahead;
        return ahead;
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
    base::Result<void> free_packets() override {
        if (packets_stay) return base::fail(*packets_stay);
        return {};
    }
    base::Result<void> stop() override {
        state = {};
        held.clear();
        return {};
    }

 private:
    void throw_away() {
        if (ahead <= std::chrono::seconds(0)) content.cached.clear();
    }

    static bool erase(std::vector<nfs::Export>& table, const std::filesystem::path& path, const std::string& client) {
        return std::erase_if(table, [&](const auto& one) { return one.path == path && one.client == client; }) > 0;
    }
};

}  // namespace safe::test
