#include "plugins/luks/header_care.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/key_helper.hpp"
#include "plugins/luks/key_trial.hpp"
#include "plugins/luks/tokens.hpp"
#include "reconciler/base/file.hpp"

namespace safe::luks {
namespace {

using base::Error;
using base::Result;
using members::Keyslot;
using members::VaultHeader;
namespace fs = std::filesystem;

/// What a member's key is tried on, and what the header says of members.
struct Trial {
    Taken taken;
    VaultHeader header;
};

class Claim final : public members::HeaderClaim {
 public:
    using Act = std::function<Result<std::string>()>;

    /// Without a trial nobody needs to vouch.
    Claim(std::shared_ptr<Api> api, std::string object, std::vector<std::string> told, std::optional<Trial> trial,
          Act act)
        : api_(std::move(api)), object_(std::move(object)), told_(std::move(told)), act_(std::move(act)) {
        if (!trial) return;
        taken_ = std::move(trial->taken);
        needs_ = std::move(trial->header);
    }

    [[nodiscard]] const std::vector<std::string>& told() const override { return told_; }
    [[nodiscard]] const std::optional<VaultHeader>& needs() const override { return needs_; }

    Result<std::optional<Keyslot>> prove(std::string_view user, const base::Secret& key) override {
        if (!taken_) return std::optional<Keyslot>();
        Result<std::optional<Keyslot>> opened = try_member(*api_, *taken_, object_, user, key);
        proved_ = proved_ || (opened && *opened);
        return opened;
    }

    Result<std::string> carry_out() override {
        if (needs_ && !proved_)
            return base::fail(
                {"change", object_, "nobody has proved a key on it", "give a member's password", Error::Kind::refused});
        return act_();
    }

 private:
    const std::shared_ptr<Api> api_;
    const std::string object_;
    const std::vector<std::string> told_;
    const Act act_;
    std::optional<Taken> taken_;
    std::optional<VaultHeader> needs_;
    bool proved_ = false;
};

class LuksHeaderCare final : public members::HeaderCare {
 public:
    LuksHeaderCare(Ground ground, const specs::VolumeSpec& volume)
        : ground_(std::move(ground)),
          volume_(volume),
          header_(ground_.header(volume)),
          object_("container/" + volume.name) {}

    std::vector<members::SeenHeader> list() override { return list_headers(header_); }

    Result<void> back_up(const fs::path& out) override {
        if (Result<void> attached = must_be_attached("back up"); !attached) return attached;
        const Result<Taken> taken = header_.take();
        if (!taken) return base::fail(taken.error());
        return base::create_file(out, taken->image, 0600);
    }

    Result<std::unique_ptr<members::HeaderClaim>> to_accept() override {
        if (Result<void> attached = must_be_attached("accept"); !attached) return base::fail(attached.error());
        const bool on_record = header_.look().what == Sighting::What::ours;
        const Result<Taken> taken = on_record ? header_.take() : header_.take_unrecorded();
        if (!taken) return base::fail(taken.error());
        const std::string kept = on_record ? header_.kept_otherwise(*taken) : std::string();
        if (on_record && kept.empty()) return nothing_to_do("the header of " + volume_.name + " is on record as it is");
        // Before anybody types a password: what no key makes good.
        if (Result<void> may = header_.may_accept(*taken); !may) return base::fail(may.error());
        const Result<std::optional<Record>> record = header_.store().record();
        if (!record) return base::fail(record.error());
        std::vector<std::string> told;
        if (on_record)
            told.push_back(kept);
        else if (!*record)
            told.push_back(fmt::format("this hypervisor has no record of the header of {}: UUID {}, sequence {}, {}",
                                       volume_.name, taken->header.uuid, taken->header.sequence,
                                       cipher_of(taken->header)));
        else
            for (const std::string& difference : differences(taken->header, **record))
                told.push_back("changed since it was recorded: " + difference);
        tell_members(taken->header, *record, told);
        return claim(*taken, std::move(told), [header = header_, taken = *taken]() -> Result<std::string> {
            if (Result<void> accepted = header.accept(taken); !accepted) return base::fail(accepted.error());
            return fmt::format("the header of {} is on record as it is on the device, sequence {}", header.volume(),
                               taken.header.sequence);
        });
    }

    Result<std::unique_ptr<members::HeaderClaim>> to_restore(const fs::path& from) override {
        if (Result<void> attached = must_be_attached("restore"); !attached) return base::fail(attached.error());
        if (*volume_.access == specs::Access::read_only)
            return refuse("restore", "the spec declares it read-only", "restore it where it may be written");
        std::vector<std::string> told;
        const Result<fs::path> file = from.empty() ? best_kept(told) : Result<fs::path>(from);
        if (!file) return base::fail(file.error());
        const Result<Taken> backup = header_.take_file(*file);
        if (!backup) return base::fail(backup.error());
        if (Result<void> closed = must_be_closed(*backup); !closed) return base::fail(closed.error());
        const Result<bool> there = header_.holds(*backup);
        if (!there) return base::fail(there.error());
        const Sighting seen = header_.look();
        if (*there && seen.what == Sighting::What::ours)
            return nothing_to_do(
                fmt::format("the device holds the header of {} already, areas and all", file->string()));
        // One that was cut short is kept under a higher sequence than the device has: it is gone on with.
        if (from.empty() && seen.what == Sighting::What::ours && !same(*seen.header, backup->header) &&
            backup->header.sequence <= seen.header->sequence)
            return refuse("restore", "the header on the device is on record, and newer than what is kept of it",
                          "nothing needs restoring; to go back to an older one name it: --from FILE");
        if (Result<void> may = header_.may_restore(*backup); !may) return base::fail(may.error());
        if (Result<void> described = tell_restore(*file, *backup, seen, told); !described)
            return base::fail(described.error());
        return claim(*backup, std::move(told), [this, backup = *backup, file = *file]() -> Result<std::string> {
            if (Result<void> closed = must_be_closed(backup); !closed) return base::fail(closed.error());
            const Result<fs::path> replaced = header_.restore(backup);
            if (!replaced) return base::fail(replaced.error());
            return fmt::format("the header of {} is written back from {}; what lay there is kept as {}", volume_.name,
                               file.string(), replaced->string());
        });
    }

 private:
    [[nodiscard]] std::unexpected<Error> refuse(std::string attempt, std::string cause, std::string advice) const {
        return base::fail({std::move(attempt), "the header of " + volume_.name, std::move(cause), std::move(advice),
                           Error::Kind::refused});
    }

    [[nodiscard]] Result<void> must_be_attached(std::string attempt) const {
        if (!volume_.iscsi) return {};
        const Result<bool> there = HeaderDevice::exists(header_.device());
        if (!there) return base::fail(there.error());
        if (*there) return {};
        return refuse(std::move(attempt), "its storage is not attached",
                      "`safectl apply --mode open` attaches it, even if it cannot be opened then; do this again, and "
                      "`safectl close` puts it away");
    }

    [[nodiscard]] Result<void> must_be_closed(const Taken& backup) const {
        const Result<std::vector<Mapping>> all = ground_.api->mappings();
        if (!all) return base::fail(all.error());
        std::string uuid = backup.header.uuid;
        std::erase(uuid, '-');
        // By UUID too: a device that was renamed is open all the same.
        const auto open = std::ranges::find_if(*all, [&](const Mapping& mapping) {
            return mapping.name == ground_.setting.places.mapping_name(volume_.name) ||
                   mapping.uuid.starts_with("CRYPT-LUKS2-" + uuid);
        });
        if (open == all->end()) return {};
        return refuse("restore", fmt::format("the volume is open, as {}", open->name), "close the safe first");
    }

    /// header.img when it is the one on record or under way; else the newest backup, and says so.
    [[nodiscard]] Result<fs::path> best_kept(std::vector<std::string>& told) const {
        const HeaderStore& store = header_.store();
        const Result<std::optional<Record>> record = store.record();
        const Result<std::optional<Record>> pending = store.pending();
        if (!record || !pending) return base::fail(!record ? record.error() : pending.error());
        const Result<Taken> copy = header_.take_file(store.kept_file());
        if (copy && !*record && !*pending) return store.kept_file();
        for (const std::optional<Record>* known : {&*record, &*pending})
            if (copy && *known && differences(copy->header, **known).empty()) return store.kept_file();
        const std::vector<HeaderStore::Numbered> backups = store.backups_on_record();
        if (backups.empty())
            return refuse("restore", "nothing that could be written back is kept of it", "name a file: --from FILE");
        told.push_back(fmt::format("{} cannot be used: {}", store.kept_file().string(),
                                   copy ? "it is not the one on record" : copy.error().cause));
        return backups.back().second;
    }

    void tell_members(const Header& header, const std::optional<Record>& known, std::vector<std::string>& told) const {
        if (!ground_.is_vault(volume_)) return;
        told.push_back(keyslots_in_words(header, known));
        std::vector<std::string> gone;
        for (const UserToken& token : user_tokens(header)) {
            const bool declared = std::ranges::find(ground_.setting.spec.users, token.user, &specs::UserSpec::name) !=
                                  ground_.setting.spec.users.end();
            if (!declared && std::ranges::find(gone, token.user) == gone.end()) gone.push_back(token.user);
        }
        if (!gone.empty() && !ground_.setting.spec.users.empty())
            told.push_back(fmt::format("not in the spec, and can open it until the next apply revokes them: {}",
                                       fmt::join(gone, ", ")));
    }

    [[nodiscard]] Result<void> tell_restore(const fs::path& file, const Taken& backup, const Sighting& seen,
                                            std::vector<std::string>& told) const {
        const Result<std::optional<Record>> record = header_.store().record();
        if (!record) return base::fail(record.error());
        told.push_back(fmt::format("on the device now: {}", in_words(seen)));
        told.push_back(fmt::format("to be written over it: {}, sequence {}, UUID {}", file.string(),
                                   backup.header.sequence, backup.header.uuid));
        if (*record) {
            const std::vector<std::string> differs = differences(backup.header, **record);
            told.push_back(fmt::format("compared with the record: {}",
                                       differs.empty() ? "the same" : fmt::format("{}", fmt::join(differs, ", "))));
        } else {
            told.emplace_back("this hypervisor has no record to compare it with");
        }
        tell_members(backup.header, *record, told);
        return {};
    }

    [[nodiscard]] Result<std::unique_ptr<members::HeaderClaim>> nothing_to_do(std::string sentence) const {
        return std::make_unique<Claim>(ground_.api, object_, std::vector<std::string>(), std::nullopt,
                                       [header = header_, sentence = std::move(sentence)]() -> Result<std::string> {
                                           if (Result<void> settled = header.settle(); !settled)
                                               return base::fail(settled.error());
                                           return sentence;
                                       });
    }

    [[nodiscard]] Result<std::unique_ptr<members::HeaderClaim>> claim(const Taken& taken, std::vector<std::string> told,
                                                                      Claim::Act act) const {
        Result<std::optional<Trial>> trial = trial_for(taken, told);
        if (!trial) return base::fail(trial.error());
        return std::make_unique<Claim>(ground_.api, object_, std::move(told), *std::move(trial), std::move(act));
    }

    /// Whose key must open what: nullopt when the key in the mounted vault has opened it here.
    [[nodiscard]] Result<std::optional<Trial>> trial_for(const Taken& taken, std::vector<std::string>& told) const {
        if (ground_.is_vault(volume_)) return trial_on(taken, volume_.name);
        const specs::VolumeSpec* vault = ground_.vault();
        if (vault == nullptr) return refuse("prove", "this safe has no vault that could hold its key", "declare one");
        const driver::Places& places = ground_.setting.places;
        const Result<bool> mounted =
            ground_.api->mounted(places.mapping_name(vault->name), places.mount_point(vault->name));
        if (!mounted) return base::fail(mounted.error());
        if (!*mounted) {
            told.push_back("the vault is not mounted: a member's key is proved on it instead of this volume's own");
            const Result<Taken> of_vault = ground_.header(*vault).take_kept_for_trying();
            if (!of_vault) return base::fail(of_vault.error());
            return trial_on(*of_vault, vault->name);
        }
        const Result<Unlock> unlock = ground_.unlock(volume_, taken.header);
        if (!unlock) return base::fail(unlock.error());
        if (const Outcome<int> opened = ground_.api->try_key(taken.image, *unlock); !opened) {
            Error error = explain(opened.error(), object_, "");
            if (opened.error().code == Failure::Code::wrong_key) error.kind = Error::Kind::refused;
            return base::fail(std::move(error));
        }
        told.push_back("its key from the vault opens it");
        return Result<std::optional<Trial>>(std::nullopt);
    }

    [[nodiscard]] static Result<std::optional<Trial>> trial_on(const Taken& taken, const std::string& vault) {
        Result<VaultHeader> header = vault_header_of(taken, vault);
        if (!header) return base::fail(header.error());
        return Result<std::optional<Trial>>(Trial{taken, *std::move(header)});
    }

    const Ground ground_;
    const specs::VolumeSpec& volume_;
    const VolumeHeader header_;
    const std::string object_;
};

}  // namespace

Result<std::unique_ptr<members::HeaderCare>> make_header_care(const driver::Setting& setting, std::string_view volume) {
    return make_header_care(setting, volume, make_helper_api(usual_helper()));
}

Result<std::unique_ptr<members::HeaderCare>> make_header_care(const driver::Setting& setting, std::string_view volume,
                                                              std::shared_ptr<Api> api) {
    const specs::VolumeSpec* declared = setting.spec.volume(volume);
    if (declared == nullptr)
        return base::fail({"find the volume", std::string(volume), "the spec declares none of that name",
                           "name one of its volumes", Error::Kind::refused});
    return std::make_unique<LuksHeaderCare>(Ground{.setting = setting, .api = std::move(api)}, *declared);
}

}  // namespace safe::luks
