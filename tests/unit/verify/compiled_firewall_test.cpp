// Whatever the driver makes of a spec, verify finds in order: it works out the same rules by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/nftables/sample_spec.hpp"
#include "tests/unit/verify/fake_host.hpp"

namespace safe::verify::test {
namespace {

using specs::When;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Compiled : public ::testing::Test {
 protected:
    void in_order() const {
        for (const model::Mode mode : {model::Mode::open, model::Mode::closed, model::Mode::locked}) {
            FakeHost host;
            for (const char* chain : {"prerouting", "forward", "input", "output", "sources", "base"})
                host.compiled_rules(chain, spec);
            if (mode == model::Mode::open)
                for (const char* chain : {"open", "storage"}) host.compiled_rules(chain, spec);
            if (mode == model::Mode::locked) host.compiled_rules("locked", spec);
            const Report report = verify(host.system(), spec, {"atlas", "/var/lib/safe/atlas"}, mode);
            std::size_t lines = 0;
            for (const std::string& line : complaints(report)) EXPECT_THAT(line, Not(StartsWith("fault firewall")));
            for (const Finding& finding : report.findings) lines += finding.subject == "firewall" ? 1U : 0U;
            EXPECT_EQ(lines, 4U) << to_text(mode);
        }
    }
    specs::SafeSpec spec = safe::test::sample_spec();
};

TEST_F(Compiled, ASample) { in_order(); }

TEST_F(Compiled, MountsServicesAndAMonitor) {
    safe::test::add_services(spec);
    safe::test::add_mounts(spec);
    in_order();
    spec.directory->ldap = {"ldap://10.77.0.3:1389/"};
    in_order();
}

TEST_F(Compiled, EveryKindOfEndAndService) {
    using safe::test::sample_rule;
    spec.firewall.clear();
    for (const When when : {When::always, When::open, When::locked}) {
        const std::string tag = std::to_string(static_cast<int>(when));
        for (const auto& [name, from, to] :
             std::vector<std::array<std::string, 3>>{{"zone", "users", "records"},
                                                     {"back", "records", "super-users"},
                                                     {"outside", "records", "192.0.2.80"},
                                                     {"anywhere", "0.0.0.0/0", "records"},
                                                     {"net", "10.77.0.0/24", "records"},
                                                     {"addresses", "10.77.0.4", "192.0.2.0/24"},
                                                     {"behind", "10.78.0.9", "10.77.0.4"},
                                                     {"hypervisor", "10.77.0.1", "10.77.0.4"},
                                                     {"own", "10.77.0.4", "10.77.0.1"}})
            spec.firewall.push_back(sample_rule(name + tag, from, to, {"tcp/22", "udp/5000-5010", "icmp"}, when));
    }
    in_order();
}

/// Each test that the driver's rule makes of a frame is missed when it is not there.
TEST_F(Compiled, ADeclaredRuleThatTestsLessIsFound) {
    using safe::test::sample_rule;
    spec.firewall = {sample_rule("net", "10.77.0.0/24", "10.9.0.1", {"tcp/22"}, When::always),
                     sample_rule("inside", "10.77.0.4", "10.77.0.2/32", {"icmp"}, When::always),
                     sample_rule("own", "10.77.0.4", "10.77.0.1", {"udp/53"}, When::always),
                     sample_rule("behind", "10.78.0.9", "192.0.2.0/24", {"tcp/443"}, When::always),
                     sample_rule("out", "records", "192.0.2.80", {"tcp/443"}, When::always)};
    in_order();
    FakeHost host;
    for (const char* chain : {"prerouting", "forward", "input", "output", "sources", "base"})
        host.compiled_rules(chain, spec);
    const auto faults = [&] {
        return complaints(verify(host.system(), spec, {"atlas", "/var/lib/safe/atlas"}, model::Mode::closed));
    };
    const std::vector<nlohmann::json> rules = host.rules("base");
    int left_out = 0;
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const std::string name = rules[i]["comment"];
        if (name.starts_with("implied/")) continue;
        for (std::size_t part = 0; part < rules[i]["expr"].size(); ++part) {
            if (!rules[i]["expr"][part].contains("match")) continue;
            host.no_rules("base");
            for (std::size_t j = 0; j < rules.size(); ++j) {
                nlohmann::json expression = rules[j]["expr"];
                if (j == i) expression.erase(part);
                host.rule("base", rules[j]["comment"], expression.dump());
            }
            EXPECT_THAT(faults(), Contains(HasSubstr("more than the spec allows: " + name))) << rules[i]["expr"][part];
            ++left_out;
        }
    }
    EXPECT_GT(left_out, 100);
}

TEST_F(Compiled, RulesThatAllowNothing) {
    using safe::test::sample_rule;
    spec.firewall.clear();
    for (const auto& [from, to] : {std::pair("records", "10.77.0.4"),
                                   {"records", "10.77.0.99"},
                                   {"users", "super-users"},
                                   {"super-users", "gateway"},
                                   {"192.0.2.1", "198.51.100.0/24"},
                                   {"10.77.0.20/31", "records"}})
        for (const When when : {When::open, When::locked, When::always})
            spec.firewall.push_back(
                sample_rule("idle-" + std::to_string(spec.firewall.size()), from, to, {"tcp/22"}, when));
    in_order();
}

TEST_F(Compiled, AddressesOfAnySize) {
    spec.network->address = {specs::parse_interface_address("30.0.0.1/8").value()};
    unsigned last = 2;
    for (specs::VmSpec& vm : spec.vms) vm.address = {specs::parse_ipv4("30.0.0." + std::to_string(last++)).value()};
    spec.network->users = {safe::test::network("198.51.100.7/32")};
    in_order();
}

}  // namespace
}  // namespace safe::verify::test
