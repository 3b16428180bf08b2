// A storage host and this host's initiator, in memory: what the driver's own tests run on. tests/contract/iscsi holds
// both against the real ones. `before_call` may throw, which is how a kill at that very point is played.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "plugins/iscsi/iscsi_api.hpp"

namespace safe::iscsi::test {

struct FakeUnit {
    Identity identity;
    bool write_protected = false;
};

struct FakeTarget {
    std::string user = {};
    std::string secret = {};  // empty: no CHAP
    std::map<std::uint32_t, FakeUnit> units;
};

/// Both ends; outlives the Prober and the Host that refer to it, as the world outlives a program.
struct FakeStorage {
    std::map<Endpoint, FakeTarget> targets;
    std::set<std::string> silent;                             // portals that accept and never answer
    std::vector<Session> sessions;                            // the kernel's
    std::vector<std::pair<SeenRecord, std::string>> records;  // and the secret in each
    std::uint32_t next_session = 1;
    char next_device = 'b';
    bool unreadable = false;
    std::vector<std::string> missing;
    std::set<std::string> dead_devices;  // flushing these fails
    std::function<void(const std::string&)> before_call = [](const std::string&) {};
    std::function<void(const std::string&)> after_call = [](const std::string&) {};
    int probes = 0;
};

inline base::Result<const FakeTarget*> reach(const FakeStorage& storage, const Endpoint& endpoint, const Chap* chap) {
    const auto fail = [&](std::string cause) {
        return base::fail({"log in to", endpoint.target, std::move(cause), "look"});
    };
    if (storage.silent.contains(endpoint.portal)) return fail("silence");
    const bool known =
        std::ranges::any_of(storage.targets, [&](const auto& entry) { return entry.first.portal == endpoint.portal; });
    if (!known) return fail("Connection refused");
    const auto target = storage.targets.find(endpoint);
    if (target == storage.targets.end()) return fail("the portal offers other targets");
    const std::string secret = chap != nullptr ? std::string(chap->secret.view()) : "";
    if (!target->second.secret.empty() &&
        (chap == nullptr || chap->user != target->second.user || secret != target->second.secret))
        return fail("Authentication failure(513)");
    return &target->second;
}

class FakeProber final : public Prober {
 public:
    explicit FakeProber(FakeStorage& storage) : storage_(storage) {}
    base::Result<Found> probe(const Question& question) override {
        storage_.before_call("probe");
        ++storage_.probes;
        const auto target = reach(storage_, question.address.endpoint, question.chap);
        if (!target) return base::fail(target.error());
        const auto unit = (*target)->units.find(question.address.lun);
        if (unit == (*target)->units.end())
            return base::fail({"find", to_text(question.address), "there is no disk of this number", "look"});
        storage_.after_call("probe");
        return Found{unit->second.identity, unit->second.write_protected, 1};
    }

 private:
    FakeStorage& storage_;
};

class FakeHost final : public Host {
 public:
    FakeHost(FakeStorage& storage, std::string mark) : storage_(storage), mark_(std::move(mark)) {}

    std::vector<std::string> missing() override { return storage_.missing; }
    base::Result<std::vector<Session>> sessions() override {
        if (storage_.unreadable) return base::fail({"look at", "the iSCSI sessions", "Permission denied", "be root"});
        return storage_.sessions;
    }
    base::Result<std::vector<SeenRecord>> records() override {
        std::vector<SeenRecord> seen;
        for (const auto& [record, secret] : storage_.records) seen.push_back(record);
        return seen;
    }
    base::Result<std::string> initiator_name() override { return "iqn.2026-01.org.example:host"; }

    base::Result<void> log_in(const Login& login) override {
        if (ours(login.endpoint) != nullptr) return {};
        storage_.before_call("record");
        forget_quietly(login.endpoint);
        storage_.records.push_back(
            {{login.endpoint, login.volume}, login.chap != nullptr ? std::string(login.chap->secret.view()) : ""});
        storage_.after_call("record");
        storage_.before_call("login");
        if (const auto target = reach(storage_, login.endpoint, login.chap); !target) {
            forget_quietly(login.endpoint);
            return base::fail(target.error());
        }
        storage_.sessions.push_back({storage_.next_session++, login.endpoint, mark_, "LOGGED_IN"});
        storage_.after_call("login");
        return {};
    }
    base::Result<void> scan(std::uint32_t number, std::uint32_t lun) override {
        storage_.before_call("scan");
        Session* session = find(number);
        if (session == nullptr) return base::fail({"scan", "a session", "it is gone", "apply again"});
        const FakeTarget& target = storage_.targets.at(session->endpoint);
        const auto unit = target.units.find(lun);
        if (unit == target.units.end()) return base::fail({"attach", "a unit", "the kernel made no device", "look"});
        const Identity& identity = unit->second.identity;
        if (session->unit(lun) == nullptr)
            session->units.push_back({lun, std::string("sd") + storage_.next_device++, "running", identity.serial,
                                      identity.designator, identity.capacity});
        for (Unit& there : session->units)
            if (there.lun == lun) there.capacity = identity.capacity;
        storage_.after_call("scan");
        return {};
    }
    base::Result<void> flush(std::uint32_t number, std::uint32_t lun) override {
        const Session* session = find(number);
        const Unit* unit = session == nullptr ? nullptr : session->unit(lun);
        if (unit != nullptr && storage_.dead_devices.contains(unit->device))
            return base::fail({"write back", unit->device, "Input/output error", ""});
        return {};
    }
    base::Result<void> drop(std::uint32_t number, std::uint32_t lun) override {
        storage_.before_call("drop");
        if (Session* session = find(number))
            std::erase_if(session->units, [lun](const Unit& unit) { return unit.lun == lun; });
        storage_.after_call("drop");
        return {};
    }
    base::Result<void> log_out(std::uint32_t number) override {
        storage_.before_call("logout");
        std::erase_if(storage_.sessions, [number](const Session& session) { return session.number == number; });
        storage_.after_call("logout");
        return {};
    }
    base::Result<void> forget(const Endpoint& endpoint) override {
        storage_.before_call("forget");
        forget_quietly(endpoint);
        storage_.after_call("forget");
        return {};
    }

 private:
    void forget_quietly(const Endpoint& endpoint) {
        std::erase_if(storage_.records, [&](const auto& record) { return record.first.endpoint == endpoint; });
    }
    Session* find(std::uint32_t number) {
        const auto found = std::ranges::find(storage_.sessions, number, &Session::number);
        return found == storage_.sessions.end() ? nullptr : &*found;
    }
    Session* ours(const Endpoint& endpoint) {
        const auto found = std::ranges::find_if(storage_.sessions, [&](const Session& session) {
            return session.endpoint == endpoint && session.interface == mark_;
        });
        return found == storage_.sessions.end() ? nullptr : &*found;
    }

    FakeStorage& storage_;
    std::string mark_;
};

}  // namespace safe::iscsi::test
