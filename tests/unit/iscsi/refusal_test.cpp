// Disks that are not what was recorded, or not fit: refused before the kernel sees anything; and how a person accepts
// one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/iscsi/session_driver.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using model::Mode;
using test::gib;
using test::sample_endpoint;
using test::SessionDriver;
using test::uuid;
using ::testing::HasSubstr;

class Refused : public SessionDriver {
 protected:
    void expect_refused(const std::string& why) {
        world.spec.volumes.pop_back();  // the vault alone
        EXPECT_THAT(refusal(), HasSubstr(why));
        EXPECT_TRUE(storage.sessions.empty());
        EXPECT_TRUE(storage.records.empty());
        EXPECT_FALSE(fs::is_symlink(world.link("vault")));
    }
    void attach_once() {
        must(Mode::open);
        must(Mode::closed);
    }
    test::FakeUnit& vault() { return storage.targets[sample_endpoint].units[1]; }
};

TEST_F(Refused, AnotherSerialNumber) {
    attach_once();
    vault().identity.serial = "EVIL";
    expect_refused("EVIL, and VAULT1 was recorded");
}
TEST_F(Refused, AnotherIdentifier) {
    attach_once();
    vault().identity.designator = "naa.6666";
    expect_refused("naa.6666");
}
TEST_F(Refused, LessThanThereWas) {
    attach_once();
    vault().identity.capacity = gib / 2;
    expect_refused("512 MiB, and 1 GiB");
}
TEST_F(Refused, AnotherHeader) {
    attach_once();
    vault().identity.luks = "11111111-1111-4111-8111-111111111111";
    expect_refused("header accept");
}
TEST_F(Refused, NoHeaderAnyMore) {
    attach_once();
    vault().identity.luks = std::nullopt;
    expect_refused("is gone");
}
TEST_F(Refused, ARecordThatCannotBeRead) {
    attach_once();
    std::ofstream(world.record("vault")) << "{";
    expect_refused("remove the file");
}
TEST_F(Refused, AnUnknownUnit) {
    storage.targets[sample_endpoint].units.erase(1);
    expect_refused("no disk of this number");
}
TEST_F(Refused, AWriteProtectedUnit) {
    vault().write_protected = true;
    expect_refused("lets nobody write");
}
TEST_F(Refused, ASecretThatOthersCanRead) {
    const std::string file = test::secret_file(world.root() / "chap", "s");
    fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
    test::with_chap(world.spec.volumes[0], "atlas", file);
    expect_refused("others than its owner");
}
TEST_F(Refused, AWrongSecret) {
    storage.targets[sample_endpoint].user = "atlas";
    storage.targets[sample_endpoint].secret = "right-one";
    test::with_chap(world.spec.volumes[0], "atlas", test::secret_file(world.root() / "chap", "wrong-one"));
    expect_refused("513");
    EXPECT_THAT(refusal(), ::testing::Not(HasSubstr("wrong-one")));
}
TEST_F(Refused, ASilentStorage) {
    storage.silent.insert(sample_endpoint.portal);
    expect_refused("silence");
}
TEST_F(Refused, AUnitThatIsAnotherOneWhenTheKernelLooks) {
    storage.before_call = [this](const std::string& call) {
        if (call == "scan") vault().identity.serial = "EVIL";
    };
    expect_refused("was VAULT1 when asked and is EVIL in the kernel");
}

TEST_F(SessionDriver, AProtectedUnitIsWelcomeWhereNobodyWantsToWrite) {
    storage.targets[sample_endpoint].units[2].write_protected = true;
    world.spec.volumes[1].access = {specs::Access::read_only};
    must(Mode::open);
}

TEST_F(SessionDriver, ARemovedRecordAcceptsWhatIsThere) {
    must(Mode::open);
    must(Mode::closed);
    storage.targets[sample_endpoint].units[1].identity.serial = "NEW1";
    EXPECT_THAT(refusal(), HasSubstr(world.record("vault").string()));
    fs::remove(world.record("vault"));
    must(Mode::open);
}

TEST_F(SessionDriver, AHeaderMadeAfterTheFirstAttachIsPinnedFromThenOn) {
    must(Mode::open);
    must(Mode::closed);
    storage.targets[sample_endpoint].units[2].identity.luks = uuid;
    must(Mode::open);
    must(Mode::closed);
    storage.targets[sample_endpoint].units[2].identity.luks = "11111111-1111-4111-8111-111111111111";
    EXPECT_THAT(refusal(), HasSubstr("the volume data"));
}

TEST_F(SessionDriver, AGrownUnitIsMeasuredAgain) {
    must(Mode::open);
    storage.targets[sample_endpoint].units[1].identity.capacity = 2 * gib;
    fs::remove(world.link("vault"));
    must(Mode::open);
    EXPECT_EQ(storage.sessions.front().unit(1)->capacity, 2 * gib);
}

}  // namespace
}  // namespace safe::iscsi
