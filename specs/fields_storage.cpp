#include "specs/fields_storage.hpp"

#include "specs/field_makers.hpp"

namespace safe::specs {
namespace {

Fields<ChapSpec> chap_fields() {
    return {
        required({"user", "The name that the target knows us by.", "atlas"}, &ChapSpec::user, types::chap_user()),
        secret({"secret", "The secret that proves it.", "{ file: /etc/safe/atlas/chap }"}, &ChapSpec::secret),
    };
}

Fields<IscsiSpec> iscsi_fields() {
    return {
        required({"portal", "Where the target is reached."}, &IscsiSpec::portal, types::portal()),
        required({"target", "The target's name."}, &IscsiSpec::target, types::iscsi_name()),
        required({"lun", "The logical unit on it.", "1"}, &IscsiSpec::lun, types::lun()),
        part({"chap", "How we log in, by CHAP; left out, without proof."}, &IscsiSpec::chap, chap_fields()),
    };
}

Fields<KdfSpec> kdf_fields() {
    return {
        defaulted({"type", "The key derivation. `pbkdf2`, which costs an attacker far less, is refused for the vault."},
                  &KdfSpec::type, types::kdf_type(), "argon2id"),
        defaulted({"memory", "The memory that one derivation takes."}, &KdfSpec::memory, types::kdf_memory(), "1GiB"),
        defaulted({"passes", "The number of passes over it, at most 64."}, &KdfSpec::passes, types::kdf_passes(), "4"),
        defaulted({"lanes", "How many lanes are computed side by side. Without effect: the derivation has one."},
                  &KdfSpec::lanes, types::kdf_lanes(), "4"),
    };
}

Fields<EncryptionSpec> encryption_fields() {
    return {
        defaulted({"cipher", "The cipher, in the notation of dm-crypt."}, &EncryptionSpec::cipher, types::cipher(),
                  "aes-xts-plain64"),
        defaulted({"key-size", "The size of the volume key."}, &EncryptionSpec::key_size, types::key_size(), "512"),
        defaulted_part(
            {"kdf", "What a guess at a member's key costs; of the vault. The keys of other volumes are random."},
            &EncryptionSpec::kdf, kdf_fields()),
    };
}

}  // namespace

Fields<VolumeSpec> volume_fields() {
    return {
        required(
            {"role",
             "`vault`, exactly one: the members' keyslots, the keys of all other volumes, VM memory; mounted on the "
             "hypervisor only. `data`: served to workspace VMs over NFS. `disks`: the workspace VMs' disks, which "
             "lie in the vault without it."},
            &VolumeSpec::role, types::volume_role()),
        defaulted({"access", "Whether anything is ever written to it. A vault and a volume for disks are read-write."},
                  &VolumeSpec::access, types::access(), "read-write"),
        part({"iscsi", "The volume lies on an iSCSI target. Exactly one of `iscsi`, `file` and `device` is given."},
             &VolumeSpec::iscsi, iscsi_fields()),
        optional({"file", "The volume lies in a file of the hypervisor.", "/srv/volumes/atlas-vault"},
                 &VolumeSpec::file, types::file_path()),
        optional({"device", "The volume lies on a block device of the hypervisor."}, &VolumeSpec::device,
                 types::device_path()),
        defaulted_part({"encryption", "How the volume is encrypted when it is formatted (LUKS2)."},
                       &VolumeSpec::encryption, encryption_fields()),
        defaulted({"filesystem", "The filesystem on it."}, &VolumeSpec::filesystem, types::filesystem(), "ext4"),
        defaulted({"provision",
                   "Whether the volume may be formatted: `never`, or `if-blank`, only when it carries no signature at "
                   "all."},
                  &VolumeSpec::provision, types::provision(), "never"),
    };
}

}  // namespace safe::specs
