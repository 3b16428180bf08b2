// Device-mapper for machines that have none: headers are the real helper's, opening proves the key with it and then
// only remembers. The contract suite runs against this and against the kernel's.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "plugins/luks/luks_api.hpp"

namespace safe::test {

class FakeMapper final : public luks::Api {
 public:
    explicit FakeMapper(std::shared_ptr<luks::Api> real) : real_(std::move(real)) {}

    luks::Outcome<std::string> format(const luks::Formatting& formatting, const luks::Key& first) override {
        return real_->format(formatting, first);
    }
    luks::Outcome<int> try_key(const std::string& image, const luks::Unlock& unlock) override {
        return real_->try_key(image, unlock);
    }
    luks::Outcome<std::string> add_keyslot(const std::string& image, const luks::Unlock& sponsor,
                                           const luks::NewKeyslot& fresh, const luks::Edit& besides) override {
        return real_->add_keyslot(image, sponsor, fresh, besides);
    }
    luks::Outcome<std::string> edit(const std::string& image, const luks::Edit& edit) override {
        if (before_edit) before_edit();
        return real_->edit(image, edit);
    }

    luks::Outcome<int> activate(const std::string& image, const luks::Unlock& unlock,
                                const luks::Activation& activation) override {
        luks::Outcome<int> slot = real_->try_key(image, unlock);
        if (!slot) return slot;
        if (open.contains(activation.name)) return taken("open", activation.name);
        const auto copies = luks::read_copies([&](std::uint64_t offset, std::uint64_t size) {
            return base::Result<std::string>(offset < image.size() ? image.substr(offset, size) : std::string());
        });
        std::string uuid = copies->header->uuid;
        std::erase(uuid, '-');
        open[activation.name] = {.name = activation.name,
                                 .uuid = "CRYPT-LUKS2-" + uuid + "-" + activation.name,
                                 .device = "253:" + std::to_string(open.size()),
                                 .read_only = activation.read_only};
        return slot;
    }
    luks::Outcome<void> deactivate(const std::string& name, luks::Closing how) override {
        if (open.contains(name) && !open.at(name).holders.empty()) {
            if (how == luks::Closing::force) {
                open.at(name).target = "error";
                open.at(name).suspended = false;
            }
            const auto busy = taken("close", name);
            return std::unexpected(busy.error());
        }
        open.erase(name);
        return {};
    }
    base::Result<bool> resume(const std::string& name) override {
        if (wiped.contains(name)) return false;
        open.at(name).suspended = false;
        return true;
    }
    base::Result<std::vector<luks::Mapping>> mappings() override {
        if (!able) return base::fail({"list", "the devices of device-mapper", "Permission denied", ""});
        std::vector<luks::Mapping> all;
        for (const auto& [name, mapping] : open) all.push_back(mapping);
        return all;
    }
    base::Result<bool> holds_file_system(const std::string& name) override { return file_systems.contains(name); }
    base::Result<bool> mounted(const std::string& name, const std::filesystem::path& /*place*/) override {
        return open.contains(name) && !unmounted.contains(name);
    }

    std::map<std::string, luks::Mapping> open;
    std::set<std::string> file_systems;  // names of mappings
    std::set<std::string> unmounted;
    std::set<std::string> wiped;                  // whose key is gone while they are suspended
    bool able = true;                             // may list
    std::function<void()> before_edit = nullptr;  // in the thread that edits

 private:
    static std::unexpected<luks::Failure> taken(std::string attempt, const std::string& name) {
        return std::unexpected(
            luks::Failure{luks::Failure::Code::in_use, {std::move(attempt), name, "Device or resource busy", ""}});
    }
    std::shared_ptr<luks::Api> real_;
};

}  // namespace safe::test
