// What the driver relies on when it asks a target, held against the fake and against libiscsi with a tgtd on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/iscsi/iscsi_api.hpp"
#include "tests/support/iscsi/fake_storage.hpp"
#include "tests/support/iscsi/private_tgtd.hpp"

namespace safe::iscsi {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

enum class Which { fake, libiscsi };

constexpr const char* uuid = "0f0e0d0c-0b0a-4908-8706-050403020100";
constexpr std::uint64_t mib = std::uint64_t{1} << 20U;

base::Secret secret(std::string_view text) { return base::Secret::copy_of(std::as_bytes(std::span(text))).value(); }

class IscsiProber : public ::testing::TestWithParam<Which> {
 protected:
    void SetUp() override {
        if (GetParam() == Which::fake) {
            storage.targets[endpoint()] = {"atlas", "correct-horse-1", {}};
            storage.targets[endpoint()].units[1] = {{"VAULT1", "t10.IDVAULT1", 8 * mib, std::nullopt}};
            storage.targets[endpoint()].units[2] = {{"DATA2", "t10.IDDATA2", 16 * mib, uuid}, true};
            prober = std::make_unique<test::FakeProber>(storage);
            return;
        }
        if (const std::string why = safe::test::no_tgtd(); !why.empty()) GTEST_SKIP() << why;
        tgtd = std::make_unique<safe::test::PrivateTgtd>();
        tgtd->add_target();
        tgtd->add_unit(1, "VAULT1", 8);
        tgtd->add_unit(2, "DATA2", 16);
        tgtd->put_luks_header(2, uuid);
        tgtd->protect_unit(2);
        tgtd->require_chap("atlas", "correct-horse-1");
        prober = make_prober();
    }
    void TearDown() override {
        if (!tgtd) return;
        EXPECT_EQ(tgtd->sessions(), 0U) << "a session was left behind";
    }

    [[nodiscard]] Endpoint endpoint() const {
        return {tgtd ? tgtd->portal() : "192.0.2.10:3260", safe::test::PrivateTgtd::target};
    }
    [[nodiscard]] Question about(std::uint32_t lun) const {
        return {.address = {endpoint(), lun},
                .initiator = "iqn.2026-01.org.example:host",
                .chap = &chap,
                .limit = std::chrono::seconds(10)};
    }
    void make_silent() {
        if (tgtd)
            tgtd->freeze();
        else
            storage.silent.insert(endpoint().portal);
    }

    Chap chap{"atlas", secret("correct-horse-1")};
    test::FakeStorage storage;
    std::unique_ptr<safe::test::PrivateTgtd> tgtd;
    std::unique_ptr<Prober> prober;
};

TEST_P(IscsiProber, TellsWhatAUnitIsKnownBy) {
    const auto found = prober->probe(about(1));
    ASSERT_TRUE(found) << to_text(found.error());
    EXPECT_EQ(found->identity.serial, "VAULT1");
    EXPECT_FALSE(found->identity.designator.empty());
    EXPECT_EQ(found->identity.capacity, 8 * mib);
    EXPECT_EQ(found->identity.luks, std::nullopt);
    EXPECT_FALSE(found->write_protected);
    EXPECT_EQ(found->portal_group, 1);
}

TEST_P(IscsiProber, SeesALuksHeaderAndThatNobodyMayWrite) {
    const auto found = prober->probe(about(2));
    ASSERT_TRUE(found) << to_text(found.error());
    EXPECT_EQ(found->identity.luks, uuid);
    EXPECT_EQ(found->identity.capacity, 16 * mib);
    EXPECT_TRUE(found->write_protected);
    EXPECT_NE(found->identity.designator, prober->probe(about(1))->identity.designator);
}

TEST_P(IscsiProber, TheSameQuestionHasTheSameAnswer) {
    const auto first = prober->probe(about(1));
    const auto second = prober->probe(about(1));
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->identity, second->identity);
}

TEST_P(IscsiProber, AWrongSecretIsRefused) {
    chap.secret = secret("wrong-horse-22");
    const auto found = prober->probe(about(1));
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().cause, HasSubstr("(513)"));
    EXPECT_THAT(to_text(found.error()), ::testing::Not(HasSubstr("wrong-horse")));
}

TEST_P(IscsiProber, WithoutASecretTheTargetRefuses) {
    Question question = about(1);
    question.chap = nullptr;
    EXPECT_FALSE(prober->probe(question));
}

TEST_P(IscsiProber, AnUnknownTargetIsNamed) {
    Question question = about(1);
    question.address.endpoint.target = "iqn.2026-01.org.example:other";
    const auto found = prober->probe(question);
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().cause, HasSubstr("offers"));
}

TEST_P(IscsiProber, AnUnknownUnitIsNamed) {
    const auto found = prober->probe(about(7));
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().cause, HasSubstr("no disk of this number"));
}

TEST_P(IscsiProber, NobodyListening) {
    Question question = about(1);
    question.address.endpoint.portal = "127.0.0.1:" + std::to_string(safe::test::free_port());
    const auto begun = Clock::now();
    const auto found = prober->probe(question);
    ASSERT_FALSE(found);
    EXPECT_THAT(to_text(found.error()), HasSubstr("refused"));
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(5));
}

TEST_P(IscsiProber, SilenceEndsInTime) {
    make_silent();
    Question question = about(1);
    question.limit = std::chrono::seconds(2);
    const auto begun = Clock::now();
    const auto found = prober->probe(question);
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().cause, HasSubstr("silence"));
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(5));
    if (tgtd) tgtd->thaw();
}

INSTANTIATE_TEST_SUITE_P(Both, IscsiProber, ::testing::Values(Which::fake, Which::libiscsi),
                         [](const auto& instance) { return instance.param == Which::fake ? "Fake" : "Libiscsi"; });

// What only a real connection can show.
class Libiscsi : public IscsiProber {};

TEST_P(Libiscsi, TheNumbersOfTheUnitsThereAreAreTold) {
    const auto found = prober->probe(about(7));
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().cause, HasSubstr("0, 1, 2"));
}

TEST_P(Libiscsi, AStopIsHeardWhileItWaits) {
    make_silent();
    std::stop_source stop;
    Question question = about(1);
    question.stop = stop.get_token();
    question.limit = std::chrono::seconds(30);
    const std::jthread asker([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        stop.request_stop();
    });
    const auto begun = Clock::now();
    const auto found = prober->probe(question);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind, base::Error::Kind::interrupted);
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(5));
    tgtd->thaw();
}

TEST_P(Libiscsi, SomethingElseThanATargetIsNoTarget) {
    int listener = -1;
    Question question = about(1);
    question.address.endpoint.portal = "127.0.0.1:" + std::to_string(safe::test::free_port(&listener));
    question.limit = std::chrono::seconds(5);
    const std::jthread babbler([listener] {
        const int peer = ::accept(listener, nullptr, nullptr);
        const std::string noise(4096, '\xff');
        static_cast<void>(::send(peer, noise.data(), noise.size(), MSG_NOSIGNAL));
        ::close(peer);
        ::close(listener);
    });
    EXPECT_FALSE(prober->probe(question));
}

INSTANTIATE_TEST_SUITE_P(Real, Libiscsi, ::testing::Values(Which::libiscsi),
                         [](const auto& /*instance*/) { return "Libiscsi"; });

}  // namespace
}  // namespace safe::iscsi
