// A vault's header in a plain text file, for tests of the order of things: it keeps the promises of vault_keys.hpp with
// one durable write a step, so that each step can be killed. tests/contract/members holds it and the LUKS2 header to
// the same. A key "opens" a keyslot when its digest is there.
#pragma once

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>

#include "reconciler/base/digest.hpp"
#include "reconciler/base/file.hpp"
#include "reconciler/members/vault_keys.hpp"

namespace safe::test {

class FileVault final : public members::VaultKeys {
 public:
    // As in a LUKS2 header, where a member takes a slot and a token, and the vault itself a token.
    static constexpr int slots = 32;
    static constexpr int tokens = 31;

    explicit FileVault(std::filesystem::path file) : file_(std::move(file)) {}

    static members::Derivation derivation() {
        return {std::vector<std::byte>(32, std::byte{7}), {.memory = 8192, .passes = 1}};
    }

    /// What provisioning leaves: one member's first keyslot.
    void format(const std::string& user, const base::Secret& key) const {
        if (!store({{user, 1, 0, digest(key)}})) throw std::runtime_error("cannot write " + file_.string());
    }

    /// What a provider can do, when a member accepts the header all the same.
    void strip_token(const std::string& user) const {
        auto lines = load().value();
        for (Line& line : lines)
            if (line.user == user) line.generation = members::no_generation;
        if (!store(lines)) throw std::runtime_error("cannot write " + file_.string());
    }

    base::Result<bool> is_made() override { return std::filesystem::exists(file_); }

    base::Result<members::VaultHeader> read() override {
        const auto lines = load();
        if (!lines) return base::fail(lines.error());
        members::VaultHeader header{.derivation = derivation(), .keyslots = {}, .room = tokens, .others = 0};
        for (const Line& line : *lines) header.keyslots.push_back(line.keyslot());
        header.room -= static_cast<int>(lines->size());
        std::ranges::sort(header.keyslots);
        return header;
    }

    base::Result<void> finish() override { return {}; }

    base::Result<std::optional<members::Keyslot>> prove(std::string_view user, const base::Secret& key) override {
        const auto lines = load();
        if (!lines) return base::fail(lines.error());
        std::optional<members::Keyslot> newest;
        for (const Line& line : *lines)
            if (line.user == user && opens(line, key) && (!newest || line.generation > newest->generation))
                newest = line.keyslot();
        return newest;
    }

    base::Result<members::Keyslot> add(std::string_view user, members::Generation generation, const base::Secret& key,
                                       const members::Sponsor& sponsor) override {
        auto lines = load();
        if (!lines) return base::fail(lines.error());
        int free = 0;
        bool sponsored = false;
        for (const Line& line : *lines) {
            if (line.user == user && line.generation == generation) return refuse("it is there already");
            sponsored = sponsored || (line.keyslot() == sponsor.keyslot && opens(line, sponsor.key));
        }
        if (!sponsored) return refuse("the sponsor's key does not open it");
        while (std::ranges::find(*lines, free, &Line::slot) != lines->end()) ++free;
        if (free >= slots || static_cast<int>(lines->size()) >= tokens) return refuse("there is no room");
        lines->push_back({std::string(user), generation, -1, "-"});
        if (auto announced = store(*lines); !announced) return base::fail(announced.error());
        lines->back().digest = digest(key);
        lines->back().slot = free;
        if (auto bound = store(*lines); !bound) return base::fail(bound.error());
        return lines->back().keyslot();
    }

    base::Result<void> remove(std::string_view user, members::Generation generation) override {
        auto lines = load();
        if (!lines) return base::fail(lines.error());
        const auto line = std::ranges::find_if(
            *lines, [&](const Line& one) { return one.user == user && one.generation == generation; });
        if (line == lines->end()) return {};
        if (line->slot >= 0) {
            if (std::ranges::count_if(*lines, [](const Line& one) { return one.slot >= 0; }) == 1)
                return refuse("it is the last one");
            line->slot = -1;
            line->digest = "-";
            if (auto killed = store(*lines); !killed) return killed;
        }
        lines->erase(line);
        return store(*lines);
    }

 private:
    struct Line {
        std::string user;
        members::Generation generation = 0;
        int slot = -1;
        std::string digest;

        [[nodiscard]] members::Keyslot keyslot() const {
            return {user, generation, slot < 0 ? std::nullopt : std::optional(slot)};
        }
    };

    static std::string digest(const base::Secret& key) { return base::sha256_hex(key.view()); }
    static bool opens(const Line& line, const base::Secret& key) {
        return line.keyslot().opens() && line.digest == digest(key);
    }
    static std::unexpected<base::Error> refuse(std::string cause) {
        return base::fail({"change", "the vault", std::move(cause), "", base::Error::Kind::refused});
    }

    [[nodiscard]] base::Result<std::vector<Line>> load() const {
        const auto text = base::read_file(file_, 1 << 20);
        if (!text) return base::fail(text.error());
        std::vector<Line> lines;
        std::istringstream stream(*text);
        for (Line line; stream >> line.user >> line.generation >> line.slot >> line.digest;) lines.push_back(line);
        return lines;
    }

    [[nodiscard]] base::Result<void> store(const std::vector<Line>& lines) const {
        std::string text;
        for (const Line& line : lines)
            text += line.user + " " + std::to_string(line.generation) + " " + std::to_string(line.slot) + " " +
                    line.digest + "\n";
        return base::replace_file(file_, text, 0600);
    }

    std::filesystem::path file_;
};

}  // namespace safe::test
