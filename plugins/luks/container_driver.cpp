#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/tokens.hpp"
#include "reconciler/base/file.hpp"

namespace safe::luks {
namespace {

using base::Error;
using base::Result;
using model::Assessment;
using model::Attributes;
using model::Kind;
using model::Observation;
using model::Resource;
using model::ResourceId;
using specs::VolumeSpec;

constexpr std::array kind_of_containers{Kind::container};
constexpr std::size_t random_key_size = 64;
constexpr std::size_t member_salt_size = 32;
constexpr std::string_view both_copies = "both";

std::vector<ResourceId> needs_of(const Ground& ground, const VolumeSpec& volume) {
    std::vector<ResourceId> needs;
    if (volume.iscsi) needs.push_back(make_id(Kind::session, volume.name));
    if (!ground.is_vault(volume) && ground.vault() != nullptr)
        needs.push_back(make_id(Kind::mount, ground.vault()->name));
    return needs;
}

class ContainerDriver final : public driver::Driver {
 public:
    explicit ContainerDriver(Ground ground) : ground_(std::move(ground)) {}

    [[nodiscard]] std::span<const Kind> kinds() const override { return kind_of_containers; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode /*mode*/) const override {
        driver::Desire desire;
        for (const VolumeSpec& volume : spec.volumes) {
            Resource container{.id = make_id(Kind::container, volume.name), .presence = model::Presence::present};
            container.attributes.set("cipher", *volume.encryption.cipher)
                .set("key-size", *volume.encryption.key_size)
                .set("header copies", both_copies);
            container.needs = needs_of(ground_, volume);
            const std::string part = "volumes." + volume.name + ".encryption";
            if (!knows_cipher(*volume.encryption.cipher, *volume.encryption.key_size))
                desire.refusals.push_back(
                    refusal(part, volume.encryption.cipher.at,
                            fmt::format("{} with a key of {} bits is none of those it is built for",
                                        *volume.encryption.cipher, *volume.encryption.key_size),
                            "use aes-xts-plain64 and 512"));
            if (ground_.is_vault(volume) && *volume.encryption.kdf.type != specs::KdfType::argon2id)
                desire.refusals.push_back(refusal(part + ".kdf", volume.encryption.kdf.type.at,
                                                  "a member's key is made with argon2id and nothing else",
                                                  "leave kdf.type out"));
            desire.resources.push_back(std::move(container));
        }
        refuse_costs(spec, desire);
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        // Nothing to enumerate: a container lies where the spec says, and one that left the file is nowhere.
        model::Snapshot snapshot;
        for (const ResourceId& id : scope.ids) {
            const VolumeSpec* volume = ground_.volume(id.name());
            snapshot.observations.emplace(id, volume != nullptr ? look(*volume) : Observation(model::Absent{}));
        }
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& observed,
                                      std::span<const model::Change> changes) const override {
        const VolumeSpec* volume = ground_.volume(resource.id.name());
        if (action == model::Action::remove || volume == nullptr)
            return {.verb = "remove",
                    .summary = "",
                    .disruption = model::Disruption::irreversible,
                    .destroys = "everything in " + to_text(resource.id)};
        if (action == model::Action::add) return classify_format(*volume);
        const auto changed = [&](std::string_view key) {
            return std::ranges::any_of(changes,
                                       [&](const model::Change& change) { return change.path.front() == key; });
        };
        if (changed("cipher") || changed("key-size"))
            return {.verb = "encrypt anew",
                    .summary = "with another cipher or key size",
                    .disruption = model::Disruption::irreversible,
                    .destroys = "everything in " + to_text(resource.id)};
        const auto* present = std::get_if<model::Present>(&observed);
        const bool cut_short = present != nullptr && model::get<bool>(present->facts, "cut short") != nullptr;
        if (changed("header copies"))
            return {.verb = "repair",
                    .summary = cut_short ? "finishes a change of its header" : "the damaged copy of its header"};
        return {.verb = "finish", .summary = "provisioning: its file system is there"};
    }

    [[nodiscard]] model::Presence orphan(const ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        return model::Presence::present;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& /*observed*/,
                       const driver::Context& context) override {
        const VolumeSpec* volume = ground_.volume(resource.id.name());
        if (volume == nullptr || step.action == model::Action::remove || !step.destroys.empty())
            return base::fail(
                {step.verb, to_text(resource.id), "this program destroys no volume", "", Error::Kind::refused});
        const std::unique_lock turn = ground_.turn_at(*volume);
        if (step.action == model::Action::add) return format(*volume, context);
        const VolumeHeader header = ground_.header(*volume);
        if (Result<void> repaired = header.repair(); !repaired) return repaired;
        return finish(*volume, header);
    }

 private:
    // --- looking

    [[nodiscard]] Observation look(const VolumeSpec& volume) const {
        const Sighting seen = ground_.look(volume);
        switch (seen.what) {
            case Sighting::What::ours:
            case Sighting::What::detached:
                if (seen.header) return present(volume, *seen.header, seen);
                return model::Deferred{make_id(Kind::session, volume.name),
                                       {"look at", "container/" + volume.name, "its storage is not attached", ""}};
            case Sighting::What::foreign:
                return model::Foreign{seen.error.cause, seen.error.advice};
            case Sighting::What::unknown:
                return model::Unknown{seen.error};
            case Sighting::What::blank:
            case Sighting::What::unfinished:
                break;
        }
        if (*volume.provision == specs::Provision::never)
            return model::Foreign{"it is blank, and the spec does not allow to format it",
                                  "set provision: if-blank for " + volume.name + ", or name the right device"};
        model::Absent absent;
        if (seen.what == Sighting::What::unfinished) absent.facts.set("unfinished", true);
        return absent;
    }

    [[nodiscard]] Observation present(const VolumeSpec& volume, const Header& header, const Sighting& seen) const {
        const bool attached = seen.what == Sighting::What::ours;
        model::Present present;
        present.attributes.set("cipher", cipher_of(header))
            .set("key-size", key_bits_of(header))
            .set("header copies", copies_of(volume, seen));
        present.needs = needs_of(ground_, volume);
        present.facts.set("uuid", header.uuid)
            .set("sequence", header.sequence)
            .set("seen", attached ? "device" : "record")
            .set("room", room_in(header));
        if (!seen.damage.empty()) present.facts.set("damage", seen.damage);
        if (seen.cut_short) present.facts.set("cut short", true);
        if (!has_provisioning_token(header)) return present;
        present.facts.set("provisioning", "until it has a file system");
        const Result<bool> done = provisioned(volume);
        if (!done) return model::Unknown{done.error()};
        if (*done && attached) present.attributes.set("provisioning", "done, and not said in its header");
        return present;
    }

    [[nodiscard]] static std::string copies_of(const VolumeSpec& volume, const Sighting& seen) {
        if (*volume.access == specs::Access::read_only) return std::string(both_copies);
        if (!seen.damage.empty()) return seen.damage;
        return seen.cut_short ? "both, of a change that was cut short" : std::string(both_copies);
    }

    /// Its file system is there, and its maker has said so by taking the marker away.
    [[nodiscard]] Result<bool> provisioned(const VolumeSpec& volume) const {
        struct stat status{};
        if (::lstat(ground_.marker(volume.name).c_str(), &status) == 0) return false;
        const std::string name = ground_.setting.places.mapping_name(volume.name);
        const Result<std::vector<Mapping>> all = ground_.api->mappings();
        if (!all) return base::fail(all.error());
        const auto mapping = std::ranges::find(*all, name, &Mapping::name);
        if (mapping == all->end() || mapping->suspended) return false;  // suspended, it would never answer
        return ground_.api->holds_file_system(name);
    }

    // --- judging

    /// What a member's key costs, within what a header may say of it.
    static void refuse_costs(const specs::SafeSpec& spec, driver::Desire& desire) {
        const VolumeSpec* vault = spec.vault();
        if (vault == nullptr) {
            if (!spec.volumes.empty())
                desire.refusals.push_back(refusal("volumes", spec.volumes.front().at,
                                                  "there is no vault that could hold the keys of these volumes",
                                                  "declare a volume with role: vault"));
            return;
        }
        const specs::KdfSpec& kdf = vault->encryption.kdf;
        if (!sound_cost({.memory = kdf.memory->bytes, .passes = *kdf.passes}))
            desire.refusals.push_back(refusal("volumes." + vault->name + ".encryption.kdf", kdf.at,
                                              "its cost is out of bounds", "use 32MiB to 4GiB, and 1 to 64 passes"));
    }

    [[nodiscard]] Assessment classify_format(const VolumeSpec& volume) const {
        Assessment assessment{
            .verb = "format",
            .summary = fmt::format("LUKS2, {}, {} bits", *volume.encryption.cipher, *volume.encryption.key_size)};
        if (!ground_.is_vault(volume)) {
            assessment.summary += ", with a random key kept in the vault";
            return assessment;
        }
        const driver::MemberKey* member = ground_.setting.keys.member();
        if (member == nullptr)
            assessment.waits_for = "a key";
        else if (const std::optional<Error> unfit = unfit_to_begin(*member); unfit)
            assessment.waits_for = "a super-user's key";
        else
            assessment.summary += fmt::format(", first keyslot: {}", member->user);
        return assessment;
    }

    /// The first member must be able to lock and unlock the safe, and is one that the spec knows.
    [[nodiscard]] std::optional<Error> unfit_to_begin(const driver::MemberKey& member) const {
        const std::vector<specs::UserSpec>& users = ground_.setting.spec.users;
        if (users.empty()) return std::nullopt;
        const auto found = std::ranges::find(users, member.user, &specs::UserSpec::name);
        if (found != users.end() && *found->super) return std::nullopt;
        return Error{"format", "the vault", member.user + " is no super-user of this safe",
                     "the first keyslot must be a super-user's", Error::Kind::refused};
    }

    // --- doing

    Result<void> format(const VolumeSpec& volume, const driver::Context& context) {
        const VolumeHeader header = ground_.header(volume);
        const Sighting seen = header.look();
        if (seen.what == Sighting::What::ours) return {};
        if (seen.what != Sighting::What::blank && seen.what != Sighting::What::unfinished)
            return base::fail({"format", header.device().string(),
                               seen.error.cause.empty() ? "it is not attached" : seen.error.cause, seen.error.advice,
                               Error::Kind::refused});
        if (*volume.provision == specs::Provision::never || *volume.access == specs::Access::read_only)
            return base::fail(
                {"format", header.device().string(), "the spec does not allow it", "", Error::Kind::refused});
        const Result<HeaderDevice> device = HeaderDevice::open(header.device(), HeaderDevice::Access::read);
        if (!device) return base::fail(device.error());
        const Result<std::string> uuid = header.uuid_for_create();
        if (!uuid) return base::fail(uuid.error());
        Formatting formatting{.uuid = *uuid,
                              .subsystem = ground_.setting.places.subsystem(volume.name),
                              .cipher = *volume.encryption.cipher,
                              .key_bits = *volume.encryption.key_size,
                              .sector_size = device->sector_size(),
                              .device_size = device->size(),
                              .tokens = {provisioning_token()}};
        const Result<Key> key = first_key(volume, formatting);
        if (!key) return base::fail(key.error());
        context.say("deriving the first key");
        const Outcome<std::string> image = ground_.api->format(formatting, *key);
        if (!image) return base::fail(explain(image.error(), "container/" + volume.name, ""));
        return header.create(*image);
    }

    Result<Key> first_key(const VolumeSpec& volume, Formatting& formatting) {
        if (!ground_.is_vault(volume)) return random_key(volume);
        const driver::MemberKey* member = ground_.setting.keys.member();
        if (member == nullptr)
            return base::fail({"format", "the vault", "nobody has given a key", "give a super-user's password"});
        if (std::optional<Error> unfit = unfit_to_begin(*member)) return base::fail(*std::move(unfit));
        const Result<base::Secret> salt = base::Secret::random(member_salt_size);
        if (!salt) return base::fail(salt.error());
        const specs::KdfSpec& kdf = volume.encryption.kdf;
        const VaultToken token{.salt = {salt->bytes().begin(), salt->bytes().end()},
                               .cost = {.memory = kdf.memory->bytes, .passes = *kdf.passes},
                               .sequence = 1};
        formatting.tokens.push_back(to_json(token));
        formatting.tokens.push_back(user_token(member->user, 1, {0}));
        return MemberPassword{
            .user = member->user, .password = &member->password, .salt = token.salt, .cost = token.cost};
    }

    /// There before the container is: a key without its container is harmless, the other way round it is a loss.
    Result<Key> random_key(const VolumeSpec& volume) {
        const driver::Places& places = ground_.setting.places;
        const std::string vault = ground_.vault()->name;
        const Result<bool> mounted = ground_.api->mounted(places.mapping_name(vault), places.mount_point(vault));
        if (!mounted) return base::fail(mounted.error());
        if (!*mounted)
            return base::fail({"keep the key of", "volume " + volume.name, "the vault is not mounted", "plan again",
                               Error::Kind::refused});
        const std::filesystem::path file = ground_.key_file(volume);
        struct stat status{};
        if (::lstat(file.c_str(), &status) == 0) return KeyFile{file};
        std::error_code error;
        std::filesystem::create_directories(file.parent_path(), error);
        if (!error) std::filesystem::permissions(file.parent_path(), std::filesystem::perms::owner_all, error);
        if (error) return base::fail({"make", file.parent_path().string(), error.message(), ""});
        Result<base::Secret> key = base::Secret::random(random_key_size);
        if (!key) return base::fail(key.error());
        // Readers of secrets drop one final line break.
        if (key->bytes().back() == std::byte{'\n'}) key->bytes().back() = std::byte{0};
        if (Result<void> kept = base::replace_file(file, key->view(), 0600); !kept) return base::fail(kept.error());
        return KeyFile{file};
    }

    /// The file system is there: from now on nothing may make one in its place.
    Result<void> finish(const VolumeSpec& volume, const VolumeHeader& header) {
        const Result<Taken> taken = header.take();
        if (!taken) return base::fail(taken.error());
        if (!has_provisioning_token(taken->header)) return {};
        const Result<bool> done = provisioned(volume);
        if (!done) return base::fail(done.error());
        if (!*done) return {};
        const Outcome<std::string> image = ground_.api->edit(
            taken->image, {.kill = {}, .remove_tokens = tokens_of(taken->header, "safe-provisioning"), .tokens = {}});
        if (!image) return base::fail(image.error().error);
        return header.put(*taken, *image);
    }

    const Ground ground_;
};

}  // namespace

std::unique_ptr<driver::Driver> make_container_driver(Ground ground) {
    return std::make_unique<ContainerDriver>(std::move(ground));
}

}  // namespace safe::luks
