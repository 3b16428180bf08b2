#include "plugins/luks/vault_keys.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/key_helper.hpp"
#include "plugins/luks/key_trial.hpp"
#include "plugins/luks/revocation.hpp"
#include "plugins/luks/tokens.hpp"

namespace safe::luks {
namespace {

using base::Error;
using base::Result;
using members::Generation;
using members::Keyslot;

class LuksVaultKeys final : public members::VaultKeys {
 public:
    LuksVaultKeys(const driver::Setting& setting, std::shared_ptr<Api> api)
        : users_(setting.spec.users),
          header_(setting.places, *setting.spec.vault()),
          object_("container/" + header_.volume()),
          api_(std::move(api)) {}

    Result<bool> is_made() override { return header_.is_made(); }

    Result<members::VaultHeader> read() override {
        const Result<Taken> taken = header_.take_kept_for_trying();
        if (!taken) return base::fail(taken.error());
        return vault_header_of(*taken, header_.volume());
    }

    Result<void> finish() override {
        const Result<bool> there = HeaderDevice::exists(header_.device());
        if (!there) return base::fail(there.error());
        return *there ? header_.settle() : Result<void>();
    }

    Result<std::optional<Keyslot>> prove(std::string_view user, const base::Secret& key) override {
        const Result<Taken> taken = header_.take_kept_for_trying();
        if (!taken) return base::fail(taken.error());
        return try_member(*api_, *taken, object_, user, key);
    }

    Result<Keyslot> add(std::string_view user, Generation generation, const base::Secret& key,
                        const members::Sponsor& sponsor) override {
        const Result<Taken> taken = header_.take();
        if (!taken) return base::fail(taken.error());
        if (find(taken->header, user, generation))
            return refuse("add", fmt::format("{} has a keyslot of generation {} already", user, generation),
                          "take the unfinished one away first");
        if (room_in(taken->header) < 1)
            return refuse("add", "there is no room for a further keyslot in its header",
                          "revoke somebody, or move to a new volume with more room");
        if (!sponsor.keyslot.slot) return refuse("add", "the sponsor's keyslot is unfinished", "use another sponsor");
        const Outcome<std::string> image =
            api_->add_keyslot(taken->image, {.key = SubKey{&sponsor.key}, .slots = {*sponsor.keyslot.slot}},
                              {.key = SubKey{&key}, .user = std::string(user), .generation = generation},
                              {.kill = {}, .remove_tokens = {}, .tokens = next_vault_token(taken->header)});
        if (!image) {
            Error error = explain(image.error(), object_, sponsor.keyslot.user);
            // Nothing was written: the header is as it was.
            if (image.error().code == Failure::Code::wrong_key) error.kind = Error::Kind::refused;
            return base::fail(std::move(error));
        }
        if (Result<void> put = header_.put(*taken, *image); !put) return base::fail(put.error());
        const Result<Taken> now = header_.take();
        if (!now) return base::fail(now.error());
        const std::optional<UserToken> added = find(now->header, user, generation);
        if (!added || added->slots.empty())
            return base::fail({"add", object_, "the new keyslot is not in the header after all", "try again"});
        return keyslot_of(*added);
    }

    Result<void> remove(std::string_view user, Generation generation) override {
        const Result<Taken> taken = header_.take();
        if (!taken) return base::fail(taken.error());
        Edit edit{.kill = {}, .remove_tokens = {}, .tokens = {}};
        if (generation == members::no_generation) {
            edit.kill = slots_without_token(taken->header, taken->record, std::string(user));
        } else if (const std::optional<UserToken> token = find(taken->header, user, generation)) {
            edit.kill = token->slots;
            edit.remove_tokens = {token->id};
        }
        if (edit.kill.empty() && edit.remove_tokens.empty()) return {};
        for (const int slot : edit.kill) {
            const auto recorded = taken->record.slots.find(std::to_string(slot));
            if (recorded == taken->record.slots.end() || recorded->second != user)
                return refuse("remove", fmt::format("keyslot {} is not {}'s by our record", slot, user),
                              "see who changed the header: `safectl header accept`");
        }
        if (!edit.kill.empty())
            if (const auto lost = loss(taken->header, taken->record, edit.kill, users_))
                return refuse("remove", fmt::format("it is {}", *lost), "enrol somebody else first");
        edit.tokens = next_vault_token(taken->header);
        const Outcome<std::string> image = api_->edit(taken->image, edit);
        if (!image) return base::fail(image.error().error);
        return header_.put(*taken, *image);
    }

 private:
    static std::optional<UserToken> find(const Header& header, std::string_view user, Generation generation) {
        for (UserToken& token : user_tokens(header))
            if (token.user == user && token.generation == generation) return std::move(token);
        return std::nullopt;
    }

    [[nodiscard]] std::unexpected<Error> refuse(std::string attempt, std::string cause, std::string advice) const {
        return base::fail(
            {std::move(attempt), "a keyslot of " + object_, std::move(cause), std::move(advice), Error::Kind::refused});
    }

    const std::vector<specs::UserSpec> users_;
    const VolumeHeader header_;
    const std::string object_;
    const std::shared_ptr<Api> api_;
};

}  // namespace

std::unique_ptr<members::VaultKeys> make_vault_keys(const driver::Setting& setting) {
    return make_vault_keys(setting, make_helper_api(usual_helper()));
}

std::unique_ptr<members::VaultKeys> make_vault_keys(const driver::Setting& setting, std::shared_ptr<Api> api) {
    return std::make_unique<LuksVaultKeys>(setting, std::move(api));
}

}  // namespace safe::luks
