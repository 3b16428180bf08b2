// Api: the little that the drivers here need of libcryptsetup and device-mapper, in their words and without their
// headers. The real one (key_helper.hpp) does everything that touches a key in a child process that lives for one call;
// tests put another in its place where there is no device-mapper.
//
// Headers are passed as *images*: both copies and the keyslot areas, as bytes that have been read once and checked.
// What a call does to a header it does to a copy, and returns it; writing it to the device is the caller's. Calls are
// made from several threads; those that derive keys run one at a time. They block for as long as a derivation takes.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "plugins/luks/header_image.hpp"
#include "reconciler/base/key_derivation.hpp"
#include "reconciler/base/secret.hpp"

namespace safe::luks {

/// Why a call failed, where callers do different things.
struct Failure {
    enum class Code {
        other,
        wrong_key,      // it opens none of the slots that were to be tried
        out_of_memory,  // nothing is known about the key
        in_use,         // the mapping is held by somebody, or the name or device is taken
    };
    Code code = Code::other;
    base::Error error;
};

template <class T>
using Outcome = std::expected<T, Failure>;

/// What opens a keyslot. References, not owners.
struct MemberPassword {  // derive_seed and derive_subkey("luks") make the key of it
    std::string user;
    const base::Secret* password = nullptr;
    std::vector<std::byte> salt;
    base::DerivationCost cost;
};
struct SubKey {  // derived already
    const base::Secret* key = nullptr;
};
struct KeyFile {  // of root's, 0600, on a mounted vault; read where it is used
    std::filesystem::path path;
};
using Key = std::variant<MemberPassword, SubKey, KeyFile>;

struct Unlock {
    Key key;
    std::vector<int> slots;  // tried in this order, and no others
};

struct Formatting {
    std::string uuid;
    std::string subsystem;
    std::string cipher;  // "aes-xts-plain64"
    std::uint64_t key_bits = 0;
    std::uint64_t sector_size = 512;
    std::uint64_t device_size = 0;
    std::vector<Json> tokens = {};
};

struct NewKeyslot {
    Key key;
    std::string user;
    std::uint64_t generation = 0;
};

struct Edit {
    std::vector<int> kill;                             // keyslots, their areas overwritten
    std::vector<std::string> remove_tokens;            // ids
    std::vector<std::pair<std::string, Json>> tokens;  // id and content; an empty id: a new one
};

struct Activation {
    std::string name;
    std::filesystem::path device;
    bool read_only = false;
};

/// A device of device-mapper's.
struct Mapping {
    std::string name;
    std::string uuid;
    std::string device;  // "254:3"
    bool read_only = false;
    bool suspended = false;
    std::string target = "crypt";  // "error": it was closed by force, has no key any more, and somebody still holds it
    std::vector<std::string> lies_on = {};  // names of block devices below it: "sda", "loop0"
    std::vector<std::string> holders = {};  // and above it
    bool operator==(const Mapping&) const = default;
};

enum class Closing {
    gently,
    force,  // what is in use gives errors from then on, and its key goes at once; the device goes when it is let go
};

class Api {
 public:
    Api() = default;
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;
    Api(Api&&) = delete;
    Api& operator=(Api&&) = delete;
    virtual ~Api() = default;

    /// A header with one keyslot for `first`, touching no device.
    [[nodiscard]] virtual Outcome<std::string> format(const Formatting& formatting, const Key& first) = 0;
    /// Which slot the key opens. Here and in activate, the image may end with the last keyslot.
    [[nodiscard]] virtual Outcome<int> try_key(const std::string& image, const Unlock& unlock) = 0;
    /// A further keyslot with its token, opened once to verify.
    [[nodiscard]] virtual Outcome<std::string> add_keyslot(const std::string& image, const Unlock& sponsor,
                                                           const NewKeyslot& fresh, const Edit& besides) = 0;
    [[nodiscard]] virtual Outcome<std::string> edit(const std::string& image, const Edit& edit) = 0;

    [[nodiscard]] virtual Outcome<int> activate(const std::string& image, const Unlock& unlock,
                                                const Activation& activation) = 0;
    /// Nothing to do when there is no such mapping. in_use by force too, when the device is there still, without its
    /// key.
    [[nodiscard]] virtual Outcome<void> deactivate(const std::string& name, Closing how) = 0;
    /// Lets a suspended device go on. false: its key was wiped meanwhile (`cryptsetup luksSuspend`), and it stays as it
    /// is.
    [[nodiscard]] virtual base::Result<bool> resume(const std::string& name) = 0;
    /// Every device of device-mapper's.
    [[nodiscard]] virtual base::Result<std::vector<Mapping>> mappings() = 0;
    /// Whether an opened mapping begins with a file system that a volume can have: ext4 or XFS.
    [[nodiscard]] virtual base::Result<bool> holds_file_system(const std::string& name) = 0;
    /// Whether what is mounted at `place` is the mapping of that name, and not the hypervisor's own disk.
    [[nodiscard]] virtual base::Result<bool> mounted(const std::string& name, const std::filesystem::path& place) = 0;
};

}  // namespace safe::luks
