// The types of what describes a volume.
#include <filesystem>

#include "specs/scalar_makers.hpp"

namespace safe::specs::types {

Scalar<VolumeRole> volume_role() {
    return one_of("role of a volume", {VolumeRole::vault, VolumeRole::data, VolumeRole::disks});
}
Scalar<Access> access() { return one_of("way to access a volume", {Access::read_write, Access::read_only}); }
Scalar<Filesystem> filesystem() { return one_of("filesystem", {Filesystem::ext4, Filesystem::xfs}); }
Scalar<Provision> provision() { return one_of("way to provision", {Provision::never, Provision::if_blank}); }

Scalar<FilePath> device_path() {
    // No part may begin with a dot, so that the path cannot lead out of /dev again.
    const std::string pattern = R"(^/dev(?:/[^/. \x00-\x1f\x7f][^/ \x00-\x1f\x7f]*)+$)";
    ScalarInfo info{.name = "a device",
                    .form = "a path below /dev",
                    .pattern = pattern,
                    .longest = 255,
                    .valid = {"/dev/disk/by-id/nvme-EXAMPLE-part4", "/dev/loop0", R"(/dev/disk/by-id/a\x20b)"},
                    .invalid = {"", "/dev", "/dev/", "/dev//sda", "/dev/../etc/passwd", "/dev/sda/", "dev/sda", "sda",
                                "/etc/passwd", "/dev/a b", "/dev/" + std::string(255, 'a')}};
    const auto parse = [is_device = patterned(info).parse](std::string_view text,
                                                           const std::string& directory) -> Parsed<FilePath> {
        const auto path = is_device(text, directory);
        if (!path) return std::unexpected(path.error());
        return FilePath{*path, *path};
    };
    return {std::move(info), parse};
}

Scalar<Portal> portal() {
    return valued<Portal>({.name = "portal",
                           .form = "an IPv4 address and a port from 1 to 65535, 3260 when left out",
                           .pattern = anchored(octets() + "(?::" + decimal_pattern(1, 65535) + ")?"),
                           .longest = 21,
                           .valid = {"192.0.2.10:3260", "198.51.100.7", "192.0.2.10:1", "192.0.2.10:65535"},
                           .invalid = {"", "192.0.2.10:", "192.0.2.10:0", "192.0.2.10:65536", "192.0.2.10:03260",
                                       "192.0.2:3260", ":3260", "storage.example.org", "192.0.2.10:3260,1"}},
                          parse_portal);
}

Scalar<std::string> iscsi_name() {
    // RFC 3720, 3.2.6.3.1, with the 223 bytes of 3.2.6.1. Its string may hold upper-case letters and underscores, which
    // RFC 3722 does not know and targets in use do.
    const std::string part = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
    return patterned(
        {.name = "an iSCSI qualified name",
         .form = "iqn., the year and month in which a domain was one's own, that domain backwards, and "
                 "after a colon what one likes: iqn.2026-01.org.example:atlas",
         .pattern = fmt::format(R"(^iqn\.[0-9]{{4}}-(?:0[1-9]|1[0-2])(?:\.{})+(?::[A-Za-z0-9._:-]+)?$)", part),
         .longest = 223,
         .valid = {"iqn.2026-01.org.example:atlas", "iqn.2001-04.com.example",
                   "iqn.2000-01.com.synology-like:NAS.Target-1.0a_b:c"},
         .invalid = {"", "atlas", "iqn.2026-13.org.example", "iqn.2026-00.org.example", "iqn.2026-01", "iqn.2026-01.",
                     "iqn.26-01.org.example", "iqn.2026-01.org.example:", "iqn.2026-01.org..example",
                     "iqn.2026-01.org.-example:a", "iqn.2026-01.org.example:a/b", "iqn.2026-01.org.example:a b",
                     "IQN.2026-01.org.example:a", "eui.02004567A425678D",
                     "iqn.2026-01.org.example:" + std::string(200, 'a')}});
}

Scalar<std::uint32_t> lun() { return whole_number("a logical unit number", 0, 16383); }

Scalar<std::string> chap_user() {
    return patterned({.name = "a name for CHAP",
                      .form = "a letter or digit and up to 222 letters, digits, dots, dashes, colons, at signs and "
                              "underscores",
                      .pattern = "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,222}$",
                      .longest = 223,
                      .valid = {"atlas", "iqn.2026-01.org.example:atlas", "a@b_c"},
                      .invalid = {"", "-a", "a b", "a\nb", "a=b", "#a", "é", std::string(224, 'a')}});
}

Scalar<std::string> cipher() { return one_of<std::string>("cipher", {"aes-xts-plain64"}); }

Scalar<std::uint32_t> key_size() {
    const auto parse = [](std::string_view text, const std::string&) -> Parsed<std::uint32_t> {
        if (text == "512") return 512;
        if (text == "256") return 256;
        return std::unexpected("a size of the volume key; write 512 or 256");
    };
    return {{.name = "a size of the volume key",
             .form = "one of 512, 256 (bits: XTS takes two keys, so that these are AES-256 and AES-128)",
             .kind = ScalarInfo::Kind::integer,
             .choices = {"512", "256"},
             .valid = {"512", "256"},
             .invalid = {"0", "128", "511", "-512", "1024", "18446744073709551616"}},
            parse};
}

Scalar<KdfType> kdf_type() { return one_of("key derivation", {KdfType::argon2id, KdfType::pbkdf2}); }

// What libcryptsetup 2.6 allows of Argon2, but for the least memory: it would allow 32 KiB.
Scalar<ByteSize> kdf_memory() { return size_between("a memory for Argon2", 32 * mebibyte, 4 * gibibyte); }
Scalar<std::uint32_t> kdf_passes() { return whole_number("a number of passes", 4, 100'000'000); }
Scalar<std::uint32_t> kdf_lanes() { return whole_number("a number of lanes", 1, 4); }

}  // namespace safe::specs::types
