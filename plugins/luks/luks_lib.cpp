#include "plugins/luks/luks_lib.hpp"

#include <libcryptsetup.h>

#include <array>
#include <cerrno>
#include <exception>
#include <optional>

#include "plugins/luks/mapper_devices.hpp"
#include "reconciler/base/unique_handle.hpp"
#include "reconciler/driver/secret_source.hpp"

namespace safe::luks {
namespace {

using Device = base::UniqueHandle<crypt_device, crypt_free>;
using KeyContext = base::UniqueHandle<crypt_keyslot_context, crypt_keyslot_context_free>;

// The passphrase of a member's keyslot is a derived key of 256 bits, that of the others is random: the keyslot's own
// derivation adds nothing, and costs as little as libcryptsetup allows.
constexpr crypt_pbkdf_type low_cost{.type = CRYPT_KDF_PBKDF2,
                                    .hash = "sha256",
                                    .time_ms = 0,
                                    .iterations = 1000,
                                    .max_memory_kb = 0,
                                    .parallel_threads = 0,
                                    .flags = CRYPT_PBKDF_NO_BENCHMARK};
constexpr std::uint64_t new_copy_size = 128 * kibibyte;
constexpr std::uint64_t sector = 512;

std::unexpected<Failure> failed(std::string attempt, std::string object, std::string cause, std::string advice = {},
                                Failure::Code code = Failure::Code::other) {
    return std::unexpected(
        Failure{.code = code, .error = {std::move(attempt), std::move(object), std::move(cause), std::move(advice)}});
}

/// What libcryptsetup said last, for the error that its number alone does not explain.
struct Log {
    std::string last;
    static void take(int level, const char* message, void* self) {
        if (level == CRYPT_LOG_ERROR && message != nullptr) static_cast<Log*>(self)->last = message;
    }
};

std::unexpected<Failure> from_errno(std::string attempt, std::string object, int result, const Log& log) {
    const int number = -result;
    if (number == ENOMEM)
        return failed(std::move(attempt), std::move(object), "out of memory", "free some memory and try again",
                      Failure::Code::out_of_memory);
    std::string cause = log.last.empty() ? base::errno_text(number) : log.last;
    while (!cause.empty() && (cause.back() == '\n' || cause.back() == '.')) cause.pop_back();
    const bool held = number == EBUSY || number == EEXIST;
    return failed(std::move(attempt), std::move(object), std::move(cause),
                  number == ENODEV || number == ENOTSUP ? "is device-mapper there? `modprobe dm_crypt`" : "",
                  held ? Failure::Code::in_use : Failure::Code::other);
}

Outcome<base::Secret> make_key(const Key& key) {
    const auto wrap = [](base::Result<base::Secret> secret) -> Outcome<base::Secret> {
        if (secret) return *std::move(secret);
        const bool memory = secret.error().cause.starts_with("out of memory");
        return std::unexpected(Failure{memory ? Failure::Code::out_of_memory : Failure::Code::other, secret.error()});
    };
    if (const auto* file = std::get_if<KeyFile>(&key))
        return wrap(driver::read_secret({.kind = specs::SecretRef::Kind::file, .name = file->path.string()}));
    if (const auto* derived = std::get_if<SubKey>(&key)) return wrap(base::Secret::copy_of(derived->key->bytes()));
    const auto& member = std::get<MemberPassword>(key);
    Outcome<base::Secret> seed = wrap(base::derive_seed(*member.password, member.salt, member.user, member.cost));
    if (!seed) return seed;
    return wrap(base::derive_subkey(*seed, base::luks_label));
}

class Helper {
 public:
    explicit Helper(const Received& request) : request_(request), body_(request.body) {}

    Outcome<Json> run() {
        crypt_token_external_disable();  // a header must not choose what code is loaded
        const std::string operation = body_.value("operation", "");
        if (operation == "format") return format();
        if (operation == "try") return activate(nullptr, std::nullopt, 0);
        if (operation == "activate") {
            const std::string name = body_.at("name");
            return activate(name.c_str(), body_.at("device").get<std::string>(),
                            body_.at("read_only").get<bool>() ? CRYPT_ACTIVATE_READONLY : 0);
        }
        if (operation == "add") return add();
        if (operation == "edit") return edit();
        if (operation == "deactivate") return deactivate();
        return failed("understand", "a request", "it is none of this build's");
    }

 private:
    Outcome<Key> key_at(const char* name) {
        std::optional<Key> key = take_key(body_.at(name), request_);
        if (!key) return failed("understand", "a request", "it has no key");
        return *std::move(key);
    }

    /// With the data device only where it is going to be opened.
    Outcome<Device> open(const std::optional<std::string>& data) {
        crypt_device* raw = nullptr;
        const std::string header(image_path);
        const int opened =
            data ? crypt_init_data_device(&raw, header.c_str(), data->c_str()) : crypt_init(&raw, header.c_str());
        if (opened < 0) return from_errno("open", data ? *data : "the header", opened, log_);
        Device device(raw);
        crypt_set_log_callback(raw, &Log::take, &log_);
        crypt_metadata_locking(raw, 0);  // the header is a copy of ours alone
        return device;
    }

    Outcome<Device> load(const std::optional<std::string>& data = std::nullopt) {
        Outcome<Device> device = open(data);
        if (!device) return device;
        if (const int loaded = crypt_load(device->get(), CRYPT_LUKS2, nullptr); loaded < 0)
            return from_errno("read", "the header", loaded, log_);
        return device;
    }

    Outcome<Json> format() {
        const Outcome<Key> which = key_at("key");
        if (!which) return std::unexpected(which.error());
        const Outcome<base::Secret> key = make_key(*which);
        if (!key) return std::unexpected(key.error());
        Outcome<Device> device = open(std::nullopt);
        if (!device) return std::unexpected(device.error());
        crypt_device* const cd = device->get();
        const std::string cipher = body_.at("cipher");
        const auto dash = cipher.find('-');
        const std::uint64_t key_size = body_.at("key_bits").get<std::uint64_t>() / 8;
        const std::string subsystem = body_.at("subsystem");
        crypt_params_luks2 parameters{};
        parameters.pbkdf = &low_cost;
        parameters.sector_size = body_.at("sector_size").get<std::uint32_t>();
        parameters.subsystem = subsystem.c_str();
        // Room for every slot, and the data from the next whole MiB.
        constexpr std::uint64_t stripes = 4000;
        const std::uint64_t area = (key_size * stripes + binary_size - 1) / binary_size * binary_size;
        const std::uint64_t areas = area * slot_limit;
        const std::uint64_t data = (2 * new_copy_size + areas + mebibyte - 1) / mebibyte * mebibyte;
        int result = crypt_set_metadata_size(cd, new_copy_size, areas);
        if (result >= 0) result = crypt_set_data_offset(cd, data / sector);
        if (result >= 0)
            result = crypt_format(cd, CRYPT_LUKS2, cipher.substr(0, dash).c_str(), cipher.substr(dash + 1).c_str(),
                                  body_.at("uuid").get<std::string>().c_str(), nullptr, key_size, &parameters);
        if (result < 0) return from_errno("format", subsystem, result, log_);
        const int slot =
            crypt_keyslot_add_by_volume_key(cd, CRYPT_ANY_SLOT, nullptr, 0, key->view().data(), key->size());
        if (slot < 0) return from_errno("add the first keyslot to", subsystem, slot, log_);
        for (const Json& token : body_.at("tokens"))
            if (Outcome<void> set = set_token(cd, "", token); !set) return std::unexpected(set.error());
        return Json{{"slot", slot}};
    }

    /// The slot that a key opens, and with a name the mapping.
    Outcome<Json> activate(const char* name, const std::optional<std::string>& data, std::uint32_t flags) {
        const Outcome<Key> which = key_at("key");
        if (!which) return std::unexpected(which.error());
        Outcome<Device> device = load(data);
        if (!device) return std::unexpected(device.error());
        const Outcome<base::Secret> key = make_key(*which);
        if (!key) return std::unexpected(key.error());
        const Outcome<int> slot = open_slot(device->get(), name, *key, flags);
        if (!slot) return std::unexpected(slot.error());
        return Json{{"slot", *slot}};
    }

    Outcome<int> open_slot(crypt_device* cd, const char* name, const base::Secret& key, std::uint32_t flags) {
        const std::string object = name != nullptr ? name : "a keyslot";
        for (const int slot : body_.at("slots").get<std::vector<int>>()) {
            log_.last.clear();
            const int opened = crypt_activate_by_passphrase(cd, name, slot, key.view().data(), key.size(), flags);
            if (opened >= 0) return opened;
            if (opened != -EPERM && opened != -ENOENT) return from_errno("open", object, opened, log_);
        }
        return failed("open", object, "the key opens none of its keyslots", "", Failure::Code::wrong_key);
    }

    Outcome<Json> add() {
        const Outcome<Key> existing = key_at("key");
        const Outcome<Key> wanted = key_at("fresh");
        if (!existing || !wanted) return failed("understand", "a request", "it has no key");
        const Outcome<base::Secret> sponsor = make_key(*existing);
        if (!sponsor) return std::unexpected(sponsor.error());
        Outcome<Device> device = load();
        if (!device) return std::unexpected(device.error());
        crypt_device* const cd = device->get();
        const Outcome<int> opened = open_slot(cd, nullptr, *sponsor, 0);
        if (!opened) return std::unexpected(opened.error());
        const Outcome<base::Secret> fresh = make_key(*wanted);
        if (!fresh) return std::unexpected(fresh.error());

        crypt_set_pbkdf_type(cd, &low_cost);
        const Outcome<int> slot = add_slot(cd, *opened, *sponsor, *fresh);
        if (!slot) return std::unexpected(slot.error());
        if (Outcome<void> done = apply(cd, edit_from(body_.at("besides"))); !done) return std::unexpected(done.error());
        Json token = body_.at("token");
        token["keyslots"] = Json::array({std::to_string(*slot)});
        if (Outcome<void> set = set_token(cd, "", token); !set) return std::unexpected(set.error());
        // What cannot be opened now could not be opened when it is needed.
        if (const int again = crypt_activate_by_passphrase(cd, nullptr, *slot, fresh->view().data(), fresh->size(), 0);
            again != *slot)
            return from_errno("open the new", "keyslot " + std::to_string(*slot), again, log_);
        return Json{{"slot", *slot}};
    }

    Outcome<int> add_slot(crypt_device* cd, int opened, const base::Secret& sponsor, const base::Secret& fresh) {
        crypt_keyslot_context* raw = nullptr;
        int result = crypt_keyslot_context_init_by_passphrase(cd, sponsor.view().data(), sponsor.size(), &raw);
        const KeyContext old_key(raw);
        raw = nullptr;
        if (result >= 0) result = crypt_keyslot_context_init_by_passphrase(cd, fresh.view().data(), fresh.size(), &raw);
        const KeyContext new_key(raw);
        if (result >= 0)
            result = crypt_keyslot_add_by_keyslot_context(cd, opened, old_key.get(), CRYPT_ANY_SLOT, new_key.get(), 0);
        if (result == -ENOSPC || result == -EINVAL)
            return failed("add", "a keyslot", log_.last.empty() ? "there is no room in the header" : log_.last,
                          "revoke somebody, or make a new volume with more room");
        if (result < 0) return from_errno("add", "a keyslot", result, log_);
        return result;
    }

    Outcome<Json> edit() {
        Outcome<Device> device = load();
        if (!device) return std::unexpected(device.error());
        if (Outcome<void> done = apply(device->get(), edit_from(body_.at("edit"))); !done)
            return std::unexpected(done.error());
        return Json::object();
    }

    Outcome<void> apply(crypt_device* cd, const Edit& edit) {
        for (const std::string& id : edit.remove_tokens)
            if (const int result = crypt_token_json_set(cd, std::stoi(id), nullptr); result < 0)
                return from_errno("remove", "token " + id, result, log_);
        for (const int slot : edit.kill)
            if (const int result = crypt_keyslot_destroy(cd, slot); result < 0)
                return from_errno("remove", "keyslot " + std::to_string(slot), result, log_);
        for (const auto& [id, content] : edit.tokens)
            if (Outcome<void> set = set_token(cd, id, content); !set) return set;
        return {};
    }

    Outcome<void> set_token(crypt_device* cd, const std::string& id, const Json& content) {
        const int number = id.empty() ? CRYPT_ANY_TOKEN : std::stoi(id);
        const int result = crypt_token_json_set(cd, number, content.dump().c_str());
        if (result == -ENOSPC || result == -EINVAL)
            return failed("write", "a token", "there is no room in the header", "make a new volume with more room");
        if (result < 0) return from_errno("write", "a token", result, log_);
        return {};
    }

    Outcome<Json> deactivate() {
        const std::string name = body_.at("name");
        // libcryptsetup's own force asks the storage for its header first, which dead storage never answers, and was
        // measured to leave the table of a mounted device as it was.
        if (body_.at("force").get<bool>())
            if (const base::Result<void> replaced = replace_by_errors(name); !replaced)
                return std::unexpected(Failure{Failure::Code::other, replaced.error()});
        const base::Result<std::string> target = target_of(name);
        if (!target) return std::unexpected(Failure{Failure::Code::other, target.error()});
        if (*target == "error") {
            const base::Result<bool> removed = remove_device(name);
            if (!removed) return std::unexpected(Failure{Failure::Code::other, removed.error()});
            if (!*removed) return from_errno("close", name, -EBUSY, log_);
            return Json::object();
        }
        const int result = crypt_deactivate_by_name(nullptr, name.c_str(), 0);
        if (result < 0 && result != -ENODEV) return from_errno("close", name, result, log_);
        return Json::object();
    }

    const Received& request_;
    const Json& body_;
    Log log_;
};

}  // namespace

Json serve(const Received& request) {
    try {
        Outcome<Json> answer = Helper(request).run();
        return answer ? Json{{"ok", *std::move(answer)}} : Json{{"failure", to_json(answer.error())}};
    } catch (const std::exception& bug) {
        return {{"failure", to_json(Failure{Failure::Code::other, {"use", "a key", bug.what(), "report this"}})}};
    }
}

}  // namespace safe::luks
