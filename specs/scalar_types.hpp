// The types of the language's values: how each is parsed, what a JSON Schema says of it, what a person reads of it. One
// function a type; a key names its type in specs/fields.cpp. Constant once made.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "specs/spec.hpp"

namespace safe::specs {

/// What loader, schema and reference say alike of a type of values.
struct ScalarInfo {
    enum class Kind { text, integer, boolean };

    std::string name;  // "size of memory"
    std::string form;  // for people: "a whole number and MiB, GiB or TiB, 16MiB to 16TiB"
    Kind kind = Kind::text;
    std::string pattern = {};               // of a text: ECMA 262, anchored
    std::vector<std::string> choices = {};  // of a text or an integer that is one of a few
    std::uint64_t lowest = 0;               // of an integer
    std::uint64_t highest = 0;
    std::size_t longest = 0;                // of a text: bytes; 0 is no bound beside the pattern's
    std::vector<std::string> valid = {};    // examples; the first is the one to show
    std::vector<std::string> invalid = {};  // of the right JSON type, but out of bounds; schema and loader refuse them
};

template <class T>
struct Scalar {
    ScalarInfo info;
    /// `directory` is where relative paths start: absolute, of the spec's own file.
    std::function<Parsed<T>(std::string_view text, const std::string& directory)> parse;
};

namespace types {

[[nodiscard]] Scalar<std::uint32_t> version();
[[nodiscard]] Scalar<WantedMode> mode();
[[nodiscard]] Scalar<Suspend> suspend();
[[nodiscard]] Scalar<Role> role();
[[nodiscard]] Scalar<When> when();
[[nodiscard]] Scalar<std::string> name();
[[nodiscard]] Scalar<std::string> uri();
[[nodiscard]] Scalar<std::string> bridge();
[[nodiscard]] Scalar<std::string> interface();
[[nodiscard]] Scalar<std::string> endpoint();
[[nodiscard]] Scalar<std::string> kernel_command_line();
[[nodiscard]] Scalar<std::string> include_path();
[[nodiscard]] Scalar<FilePath> file_path();
[[nodiscard]] Scalar<Sha256Digest> sha256();
[[nodiscard]] Scalar<ByteSize> disk_size();
[[nodiscard]] Scalar<ByteSize> memory_size();
[[nodiscard]] Scalar<std::uint32_t> cpus();
[[nodiscard]] Scalar<Ipv4> ipv4();
[[nodiscard]] Scalar<Cidr> network();
[[nodiscard]] Scalar<Cidr> interface_address();
[[nodiscard]] Scalar<Service> service();
[[nodiscard]] Scalar<Service> port();
[[nodiscard]] Scalar<bool> boolean();
[[nodiscard]] Scalar<Duration> linger();
[[nodiscard]] Scalar<Duration> deadline();
[[nodiscard]] Scalar<std::string> mount_path();

// Storage: specs/scalar_types_storage.cpp.
[[nodiscard]] Scalar<VolumeRole> volume_role();
[[nodiscard]] Scalar<Access> access();
[[nodiscard]] Scalar<Filesystem> filesystem();
[[nodiscard]] Scalar<Provision> provision();
[[nodiscard]] Scalar<FilePath> device_path();
[[nodiscard]] Scalar<Portal> portal();
[[nodiscard]] Scalar<std::string> iscsi_name();
[[nodiscard]] Scalar<std::uint32_t> lun();
[[nodiscard]] Scalar<std::string> chap_user();
[[nodiscard]] Scalar<std::string> cipher();
[[nodiscard]] Scalar<std::uint32_t> key_size();
[[nodiscard]] Scalar<KdfType> kdf_type();
[[nodiscard]] Scalar<ByteSize> kdf_memory();
[[nodiscard]] Scalar<std::uint32_t> kdf_passes();
[[nodiscard]] Scalar<std::uint32_t> kdf_lanes();

// The directory, people, and what names things for good: specs/scalar_types_people.cpp.
[[nodiscard]] Scalar<std::string> ldap_url();
[[nodiscard]] Scalar<std::string> distinguished_name();
[[nodiscard]] Scalar<std::string> full_name();
[[nodiscard]] Scalar<std::string> mail();
[[nodiscard]] Scalar<std::string> ssh_key();
[[nodiscard]] Scalar<std::string> secret_file();
[[nodiscard]] Scalar<std::string> credential();
[[nodiscard]] Scalar<std::string> orphan();
[[nodiscard]] Scalar<std::string> uuid();

}  // namespace types
}  // namespace safe::specs
