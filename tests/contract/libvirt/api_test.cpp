// The same assertions against libvirt's own test hypervisor, which unit tests use, and against QEMU.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "plugins/libvirt/domain_xml.hpp"
#include "plugins/libvirt/libvirt_lib.hpp"
#include "plugins/libvirt/network_xml.hpp"
#include "tests/support/libvirt/private_libvirtd.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

using model::Attributes;
using model::Branch;
using model::Bytes;

constexpr const char* uuid = "0b7d3a6e-6d0c-5c1f-9a51-3f3c0f4b7a11";

class ApiContract : public ::testing::TestWithParam<std::string> {
 protected:
    void SetUp() override {
        if (GetParam() == "qemu") {
            if (const auto why = test::PrivateLibvirtd::impossible()) GTEST_SKIP() << *why;
            libvirtd_.emplace(std::filesystem::path(SAFE_SOURCE_DIR) / "build" / "libvirt-cache");
        }
        api_ = make_libvirt_api(GetParam() == "qemu" ? test::PrivateLibvirtd::uri : "test:///default");
        std::filesystem::permissions(home_.path(), std::filesystem::perms::others_exec,
                                     std::filesystem::perm_options::add);
    }

    [[nodiscard]] Identity identity() const {
        return {.name = "t-x",
                .uuid = uuid,
                .type = GetParam(),
                .owner = {.safe = "t", .vm = "x", .role = "service", .memory = 64U << 20},
                .suspended = std::nullopt};
    }

    [[nodiscard]] Attributes hardware() const {
        return Attributes()
            .set("memory", Bytes{64U << 20})
            .set("memory-max", Bytes{128U << 20})
            .set("cpus", 1)
            .set("cpus-max", 2)
            .set("console", (home_.path() / "x.log").string());
    }

    void must(const base::Result<void>& done) { ASSERT_TRUE(done) << to_text(done.error()); }

    [[nodiscard]] Domain domain(View view = View::live) {
        const auto found = api_->domain_with(uuid, view);
        if (!found || !*found) throw std::runtime_error(found ? "it is not there" : to_text(found.error()));
        return **found;
    }

    [[nodiscard]] DomainSeen seen(View view) { return *parse_domain(domain(view).xml, view); }

    std::optional<test::PrivateLibvirtd> libvirtd_;
    testing::TemporaryDirectory home_;
    std::shared_ptr<Api> api_;
};

TEST_P(ApiContract, SaysWhatItOffers) {
    const base::Result<Host> host = api_->host();
    ASSERT_TRUE(host) << to_text(host.error());
    EXPECT_EQ(host->type, GetParam());
    EXPECT_EQ(host->warnings.empty(), GetParam() == "test") << "emulation is said aloud";
}

TEST_P(ApiContract, WhatIsNotThereIsNeitherAnErrorNorADomain) {
    for (const View view : {View::definition, View::live}) {
        EXPECT_EQ(api_->domain_named("nobody", view)->has_value(), false);
        EXPECT_EQ(api_->domain_with(uuid, view)->has_value(), false);
    }
    EXPECT_FALSE(api_->start(uuid));
    EXPECT_FALSE(api_->cut_power(uuid));
    EXPECT_FALSE(api_->set_metadata(uuid, suspended_metadata(Suspension{"ram"}), Affect::definition));
    EXPECT_FALSE(api_->start_network("nobody"));
}

TEST_P(ApiContract, ADomainIsDefinedAgainInPlace) {
    must(api_->define_domain(domain_xml(identity(), hardware())));
    EXPECT_TRUE(domain().persistent);
    EXPECT_FALSE(domain().active);
    EXPECT_FALSE(domain().autostart);
    EXPECT_EQ(canonical_text(seen(View::definition).hardware), canonical_text(hardware()));
    must(api_->define_domain(domain_xml(identity(), hardware().set("cpus", 2))));
    EXPECT_EQ(*model::get<std::int64_t>(seen(View::definition).hardware, "cpus"), 2);
    must(api_->set_autostart(uuid, true));
    EXPECT_TRUE(domain().autostart);
    must(api_->set_autostart(uuid, false));
    EXPECT_FALSE(domain().autostart);
    EXPECT_EQ(std::ranges::count(*api_->domains(View::definition, Which::all), uuid, &Domain::uuid), 1);
    EXPECT_EQ(std::ranges::count(*api_->domains(View::definition, Which::active), uuid, &Domain::uuid), 0);
}

TEST_P(ApiContract, AListSaysOfEachWhatALookSays) {
    must(api_->define_domain(domain_xml(identity(), hardware())));
    must(api_->set_autostart(uuid, true));
    const auto same = [&] {
        for (const View view : {View::definition, View::live}) {
            const auto all = api_->domains(view, Which::all);
            if (!all) throw std::runtime_error(to_text(all.error()));
            const auto listed = std::ranges::find(*all, uuid, &Domain::uuid);
            if (listed == all->end()) throw std::runtime_error("it is not listed");
            EXPECT_EQ(*listed, domain(view));
        }
    };
    same();
    must(api_->start(uuid));
    same();
    must(api_->pause(uuid));
    same();
    EXPECT_EQ(std::ranges::count(*api_->domains(View::live, Which::active), uuid, &Domain::uuid), 1);
    must(api_->cut_power(uuid));
    same();
}

TEST_P(ApiContract, XmlThatIsNoDomainIsAnErrorWithItsReason) {
    const base::Result<void> refused = api_->define_domain("<domain type='x'/>");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().cause, "");
    EXPECT_NE(refused.error().cause, "no error");
}

TEST_P(ApiContract, AGuestStartsSleepsWakesAndIsSwitchedOff) {
    must(api_->define_domain(domain_xml(identity(), hardware())));
    must(api_->start(uuid));
    EXPECT_TRUE(domain().active);
    EXPECT_FALSE(domain().paused);
    must(api_->start(uuid));  // to be there already is success, here and below
    must(api_->pause(uuid));
    must(api_->pause(uuid));
    EXPECT_TRUE(domain().active);
    EXPECT_TRUE(domain().paused);
    must(api_->resume(uuid));
    must(api_->resume(uuid));
    EXPECT_FALSE(domain().paused);
    must(api_->press_power_button(uuid));
    if (domain().active) must(api_->cut_power(uuid));
    EXPECT_FALSE(domain().active);
    EXPECT_TRUE(domain().persistent);
}

TEST_P(ApiContract, WhatRunsIsChangedWithoutItsDefinition) {
    must(api_->define_domain(domain_xml(identity(), hardware())));
    must(api_->start(uuid));
    must(api_->set_cpus(uuid, 2));
    EXPECT_EQ(*model::get<std::int64_t>(seen(View::live).hardware, "cpus"), 2);
    EXPECT_EQ(*model::get<std::int64_t>(seen(View::definition).hardware, "cpus"), 1);
    must(api_->set_memory(uuid, 96U << 20));
    EXPECT_EQ(*model::get<Bytes>(seen(View::definition).hardware, "memory"), (Bytes{64U << 20}));
    EXPECT_FALSE(api_->set_memory(uuid, 256U << 20)) << "more than its maximum";
    must(api_->cut_power(uuid));
}

TEST_P(ApiContract, MarksAreKeptApartForWhatRunsAndForItsDefinition) {
    must(api_->define_domain(domain_xml(identity(), hardware())));
    must(api_->start(uuid));
    must(api_->set_metadata(uuid, suspended_metadata(Suspension{"ram"}), Affect::live));
    EXPECT_EQ(seen(View::live).suspended, Suspension{"ram"});
    EXPECT_FALSE(seen(View::definition).suspended);
    must(api_->set_metadata(uuid, suspended_metadata(Suspension{"ram"}), Affect::definition));
    EXPECT_EQ(seen(View::definition).suspended, Suspension{"ram"});
    for (int again = 0; again < 2; ++again) {
        must(api_->set_metadata(uuid, suspended_metadata(std::nullopt), Affect::live));
        must(api_->set_metadata(uuid, suspended_metadata(std::nullopt), Affect::definition));
    }
    EXPECT_FALSE(seen(View::live).suspended);
    EXPECT_FALSE(seen(View::definition).suspended);
    EXPECT_EQ(seen(View::live).owner->vm, "x") << "the other mark is untouched";
    Owner other = *seen(View::live).owner;
    other.role = "workspace";
    must(api_->set_metadata(uuid, owner_metadata(other), Affect::live));
    EXPECT_EQ(seen(View::live).owner->role, "workspace");
    EXPECT_EQ(seen(View::definition).owner->role, "service");
    must(api_->cut_power(uuid));
}

TEST_P(ApiContract, ASavedGuestIsOffAndComesBackPausedWithItsMarks) {
    if (GetParam() == "test") GTEST_SKIP() << "libvirt's test hypervisor does not tell what a saved state holds";
    const std::string file = (home_.path() / "x.save").string();
    EXPECT_FALSE(api_->save(uuid, file)) << "it is not there";
    EXPECT_FALSE(api_->restore(file)) << "nothing is there";
    EXPECT_FALSE(api_->saved_definition(file));
    must(api_->define_domain(domain_xml(identity(), hardware())));
    EXPECT_FALSE(api_->save(uuid, file)) << "it is off";
    must(api_->start(uuid));
    must(api_->set_metadata(uuid, suspended_metadata(Suspension{"disk", "then"}), Affect::live));
    EXPECT_FALSE(api_->save(uuid, "/nowhere/x.save"));
    EXPECT_TRUE(domain().active) << "a save that failed leaves it as it was";
    must(api_->save(uuid, file));
    EXPECT_FALSE(domain().active);
    EXPECT_TRUE(domain().persistent);
    const base::Result<std::string> xml = api_->saved_definition(file);
    ASSERT_TRUE(xml) << to_text(xml.error());
    EXPECT_EQ(parse_domain(*xml, View::live)->suspended, (Suspension{"disk", "then"}));
    must(api_->restore(file));
    EXPECT_TRUE(domain().paused);
    EXPECT_EQ(seen(View::live).suspended, (Suspension{"disk", "then"}));
    EXPECT_FALSE(seen(View::definition).suspended);
    EXPECT_TRUE(std::filesystem::exists(file));
    EXPECT_FALSE(api_->restore(file)) << "it is there already";
    must(api_->resume(uuid));
    must(api_->cut_power(uuid));
    std::filesystem::resize_file(file, 20);
    EXPECT_FALSE(api_->saved_definition(file));
    EXPECT_FALSE(api_->restore(file));
}

TEST_P(ApiContract, ANetworkIsDefinedStartedChangedAndStopped) {
    const NetworkIdentity identity{"safe-t", uuid, "02:00:00:00:00:01", {.safe = "t"}};
    const Attributes attributes =
        Attributes()
            .set("bridge", "br-contract")
            .set("address", "10.98.0.1/24")
            .set("forward", "open")
            .set("dns", false)
            .set("reservations",
                 Branch().set("x", Branch().set("mac", "02:00:00:00:00:02").set("address", "10.98.0.2")));
    const auto network = [&] {
        const auto all = api_->networks();
        if (!all) throw std::runtime_error(to_text(all.error()));
        const auto found = std::ranges::find(*all, "safe-t", &Network::name);
        if (found == all->end()) throw std::runtime_error("it is not there");
        return *found;
    };
    must(api_->define_network(network_xml(identity, attributes)));
    EXPECT_TRUE(network().persistent);
    EXPECT_FALSE(network().active);
    EXPECT_EQ(network().live, "");
    must(api_->start_network("safe-t"));
    EXPECT_TRUE(network().active);
    const auto live = [&] { return parse_network_xml(network().live); };
    EXPECT_EQ(canonical_text(live()->attributes), canonical_text(attributes));
    EXPECT_EQ(live()->owner->safe, "t");

    const model::Entry other{"y", Branch().set("mac", "02:00:00:00:00:03").set("address", "10.98.0.3")};
    must(api_->edit_reservation("safe-t", Edit::add, reservation_xml(other)));
    EXPECT_FALSE(api_->edit_reservation("safe-t", Edit::add, reservation_xml(other))) << "twice";
    EXPECT_EQ(live()->attributes.find("reservations")->branch()->entries().size(), 2U);
    must(api_->edit_reservation("safe-t", Edit::remove, reservation_xml(other)));
    EXPECT_EQ(canonical_text(live()->attributes), canonical_text(attributes));

    must(api_->set_network_autostart("safe-t", true));
    EXPECT_TRUE(network().autostart);
    must(api_->stop_network("safe-t"));
    EXPECT_FALSE(network().active);
}

INSTANTIATE_TEST_SUITE_P(Hypervisors, ApiContract, ::testing::Values("test", "qemu"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace safe::libvirt
