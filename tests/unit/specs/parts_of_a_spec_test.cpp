// What the loader makes of volumes, members and the rest: every field of the structs, and every default.
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "specs/loader.hpp"
#include "tests/unit/specs/accepted.hpp"

namespace safe::specs {
namespace {

class EveryPart : public testing::Test {
 protected:
    void SetUp() override {
        const auto file = test::source_directory() / "tests/unit/specs/cases/all-parts.yaml";
        Loaded loaded = load_text(test::file_text(file), "/srv/atlas/safe.yaml");
        ASSERT_TRUE(loaded.spec) << test::told(loaded);
        spec_ = *std::move(loaded.spec);
    }

    [[nodiscard]] const VolumeSpec& volume(const std::string& name) const {
        const VolumeSpec* const found = spec_.volume(name);
        if (found == nullptr) throw std::runtime_error("no volume " + name);
        return *found;
    }

    SafeSpec spec_;
};

TEST_F(EveryPart, OfTimes) {
    EXPECT_EQ(*spec_.linger, Duration{120});
    EXPECT_EQ(*spec_.deadlines.suspend, Duration{180});
    EXPECT_EQ(*spec_.deadlines.close, Duration{300}) << "the default";
    EXPECT_EQ(*spec_.deadlines.storage, Duration{90}) << "the default";
    EXPECT_EQ(*spec_.deadlines.lock, Duration{20});
    EXPECT_EQ(to_text(spec_.deadlines.at), "/srv/atlas/safe.yaml:7:1");
    EXPECT_EQ(spec_.deadlines.close.at, Position{}) << "a default is written nowhere";
}

TEST_F(EveryPart, OfVolumes) {
    ASSERT_EQ(spec_.volumes.size(), 5U);
    EXPECT_EQ(spec_.vault(), &volume("vault"));
    const VolumeSpec& vault = volume("vault");
    EXPECT_EQ(*vault.role, VolumeRole::vault);
    EXPECT_EQ(*vault.access, Access::read_write);
    EXPECT_EQ(to_text(*vault.iscsi->portal), "192.0.2.10:3260");
    EXPECT_EQ(*vault.iscsi->target, "iqn.2026-01.org.example:atlas");
    EXPECT_EQ(*vault.iscsi->lun, 1U);
    EXPECT_EQ(*vault.iscsi->chap->user, "atlas");
    EXPECT_EQ(*vault.iscsi->chap->secret, (SecretRef{SecretRef::Kind::file, "/etc/safe/atlas/chap"}));
    EXPECT_EQ(*vault.filesystem, Filesystem::ext4);
    EXPECT_EQ(*vault.provision, Provision::if_blank);
    EXPECT_EQ(*volume("data").filesystem, Filesystem::xfs);
    EXPECT_EQ(*volume("data").iscsi->chap->secret, (SecretRef{SecretRef::Kind::credential, "chap"}));
    EXPECT_EQ((*volume("disks").device)->resolved, "/dev/disk/by-id/nvme-EXAMPLE-part4");
    EXPECT_EQ(*volume("disks").provision, Provision::never) << "the default";
    const VolumeSpec& reference = volume("reference");
    EXPECT_EQ(*reference.access, Access::read_only);
    EXPECT_EQ(to_text(*reference.iscsi->portal), "198.51.100.7:3260") << "the default port";
    EXPECT_FALSE(reference.iscsi->chap);
    EXPECT_EQ((*volume("local").file)->resolved, "/srv/atlas/volumes/local.img");
}

TEST_F(EveryPart, OfEncryption) {
    const EncryptionSpec& written = volume("vault").encryption;
    EXPECT_EQ(*written.cipher, "aes-xts-plain64");
    EXPECT_EQ(*written.key_size, 512U);
    EXPECT_EQ(*written.kdf.type, KdfType::argon2id);
    EXPECT_EQ(*written.kdf.memory, ByteSize{std::uint64_t{512} << 20});
    EXPECT_EQ(*written.kdf.passes, 5U);
    EXPECT_EQ(*written.kdf.lanes, 2U);
    const EncryptionSpec& fallback = volume("data").encryption;
    EXPECT_EQ(*fallback.cipher, "aes-xts-plain64");
    EXPECT_EQ(*fallback.key_size, 512U);
    EXPECT_EQ(*fallback.kdf.type, KdfType::argon2id);
    EXPECT_EQ(*fallback.kdf.memory, ByteSize{std::uint64_t{1} << 30});
    EXPECT_EQ(*fallback.kdf.passes, 4U);
    EXPECT_EQ(*fallback.kdf.lanes, 4U);
    const EncryptionSpec& half = volume("disks").encryption;
    EXPECT_EQ(*half.key_size, 256U);
    EXPECT_EQ(*half.kdf.passes, 4U) << "the default of a part inside a part";
}

TEST_F(EveryPart, OfVms) {
    const VmSpec& desktop = *spec_.vm("desktop");
    ASSERT_EQ(desktop.mounts.size(), 2U);
    EXPECT_EQ(*desktop.mounts[0].path, "/data");
    EXPECT_EQ(*desktop.mounts[0].volume, "data");
    EXPECT_EQ(*desktop.mounts[1].path, "/srv/reference.d/v1");
    EXPECT_EQ((*desktop.cloud_init->user_data)->resolved, "/srv/atlas/cloud/desktop.yaml");
    EXPECT_TRUE(spec_.vm("gateway")->mounts.empty());
    EXPECT_FALSE(spec_.vm("gateway")->cloud_init);
}

TEST_F(EveryPart, OfPeople) {
    EXPECT_EQ(*spec_.directory->ldap, "ldaps://10.77.0.3");
    EXPECT_EQ(*spec_.directory->base, "dc=atlas,dc=example,dc=org");
    EXPECT_EQ(*spec_.directory->bind->dn, "cn=admin,dc=atlas,dc=example,dc=org");
    EXPECT_EQ(spec_.directory->bind->password->name, "/etc/safe/atlas/ldap");
    EXPECT_EQ((*spec_.directory->ca)->resolved, "/etc/safe/atlas/ca.pem");
    ASSERT_EQ(spec_.users.size(), 2U);
    const UserSpec& alice = spec_.users[0];
    EXPECT_EQ(alice.name, "alice");
    EXPECT_EQ(*alice.full_name, "Alice Martin");
    EXPECT_EQ(**alice.mail, "alice@example.org");
    EXPECT_TRUE(*alice.super);
    ASSERT_EQ(alice.ssh_keys.size(), 1U);
    EXPECT_TRUE(alice.ssh_keys[0]->ends_with(" alice@laptop"));
    EXPECT_FALSE(*spec_.users[1].super) << "the default";
    EXPECT_TRUE(spec_.users[1].ssh_keys.empty());
}

TEST_F(EveryPart, OfRemovals) {
    ASSERT_EQ(spec_.remove.size(), 2U);
    EXPECT_EQ(*spec_.remove[0].resource, "vm/old-forge");
    EXPECT_EQ(*spec_.remove[0].uuid, "3b9c1f0e-5b0a-4d5c-8a53-0c6a1c2f9e7d") << "in lower case";
    EXPECT_EQ(*spec_.remove[1].resource, "container/old-data");
}

TEST(Defaults, OfASpecThatSaysNothing) {
    const Loaded loaded = load_text("version: 1\nsafe: atlas\n", "safe.yaml");
    ASSERT_TRUE(loaded.spec) << test::told(loaded);
    EXPECT_EQ(*loaded.spec->linger, Duration{60});
    EXPECT_EQ(*loaded.spec->deadlines.suspend, Duration{120});
    EXPECT_EQ(*loaded.spec->deadlines.close, Duration{300});
    EXPECT_EQ(*loaded.spec->deadlines.storage, Duration{90});
    EXPECT_EQ(*loaded.spec->deadlines.lock, Duration{30});
    EXPECT_EQ(loaded.spec->vault(), nullptr);
    EXPECT_FALSE(loaded.spec->directory);
}

/// A literal where a reference belongs is refused, and what was written is never repeated.
TEST(Secrets, AreNeverInTheSpecNorInWhatIsSaidOfIt) {
    const std::string head =
        "version: 1\nsafe: a\nvolumes:\n  v:\n    role: vault\n    iscsi:\n      portal: 192.0.2.1\n"
        "      target: iqn.2026-01.org.example:a\n      lun: 1\n      chap:\n        user: a\n        secret: ";
    for (const char* const written :
         {"hunter2", "\"hunter2\"", "[hunter2]", "{ hunter2: x }", "{ file: hunter2 }", "{ file: \"/hunter2\\n\" }",
          "{ credential: hunter2/ }", "{ file: /a, credential: hunter2 }", "{ file: [hunter2] }",
          "{ literal: hunter2 }", "{ file: { hunter2: x } }", "{}", "12345", "|\n          hunter2"}) {
        const Loaded loaded = load_text(head + written + "\n", "safe.yaml");
        EXPECT_FALSE(loaded.spec) << written;
        EXPECT_EQ(test::told(loaded).find("hunter2"), std::string::npos) << test::told(loaded);
        EXPECT_EQ(test::told(loaded).find("12345"), std::string::npos) << test::told(loaded);
        EXPECT_NE(test::told(loaded).find("volumes.v.iscsi.chap.secret"), std::string::npos) << test::told(loaded);
    }
    const Loaded literal = load_text(head + "hunter2\n", "safe.yaml");
    EXPECT_NE(test::told(literal).find("a secret never stands in the spec itself"), std::string::npos)
        << test::told(literal);
    EXPECT_TRUE(load_text(head + "{ file: /etc/safe/a }\n", "safe.yaml").spec);
    EXPECT_TRUE(load_text(head + "{ credential: a }\n", "safe.yaml").spec);
}

}  // namespace
}  // namespace safe::specs
