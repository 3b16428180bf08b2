// What a plan with nothing to do costs, beside bare paged searches of the same entries in the same run: by ldapsearch,
// as a person would, and by libldap with nothing read of what comes. Ends with 1 when a plan takes more than 1.3 times
// as long as ldapsearch. usage: bench_ldap [ACCOUNTS...]
#include <fmt/format.h>
#include <ldap.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "plugins/ldap/entries.hpp"
#include "plugins/ldap/ldap_driver.hpp"
#include "plugins/ldap/units.hpp"
#include "reconciler/applying/rounds.hpp"
#include "tests/support/ldap/private_slapd.hpp"

namespace safe::ldap {
namespace {

using Clock = std::chrono::steady_clock;

double ms(const std::function<void()>& work) {
    const auto start = Clock::now();
    work();
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> times) {
    std::ranges::sort(times);
    return times[times.size() / 2];
}

/// Connects, binds, and fetches every entry of the unit, copying nothing.
std::size_t bare_search(const std::string& uri, const std::string& base) {
    LDAP* handle = nullptr;
    const int version = LDAP_VERSION3;
    if (ldap_initialize(&handle, uri.c_str()) != LDAP_SUCCESS) return 0;
    ldap_set_option(handle, LDAP_OPT_PROTOCOL_VERSION, &version);
    char nothing = 0;
    berval credentials{0, &nothing};
    ldap_sasl_bind_s(handle, nullptr, "EXTERNAL", &credentials, nullptr, nullptr, nullptr);
    std::size_t count = 0;
    berval cookie{};
    std::vector<std::string> names = asked_for(model::Kind::account);
    std::vector<char*> attributes;
    for (std::string& name : names) attributes.push_back(name.data());
    attributes.push_back(nullptr);
    do {
        LDAPControl* page = nullptr;
        ldap_create_page_control(handle, 1000, &cookie, 1, &page);
        LDAPControl* controls[] = {page, nullptr};
        LDAPMessage* result = nullptr;
        ldap_search_ext_s(handle, base.c_str(), LDAP_SCOPE_ONELEVEL, "(safeName=atlas)", attributes.data(), 0, controls,
                          nullptr, nullptr, LDAP_NO_LIMIT, &result);
        ldap_control_free(page);
        ber_memfree(cookie.bv_val);
        cookie = {};
        for (LDAPMessage* one = ldap_first_message(handle, result); one != nullptr;
             one = ldap_next_message(handle, one)) {
            if (ldap_msgtype(one) == LDAP_RES_SEARCH_ENTRY) ++count;
            if (ldap_msgtype(one) != LDAP_RES_SEARCH_RESULT) continue;
            LDAPControl** returned = nullptr;
            int code = 0;
            ldap_parse_result(handle, one, &code, nullptr, nullptr, nullptr, &returned, 0);
            ber_int_t estimate = 0;
            if (LDAPControl* paged = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, returned, nullptr))
                ldap_parse_pageresponse_control(handle, paged, &estimate, &cookie);
            ldap_controls_free(returned);
        }
        ldap_msgfree(result);
    } while (cookie.bv_len > 0);
    ldap_unbind_ext_s(handle, nullptr, nullptr);
    return count;
}

bool compare(std::size_t accounts) {
    test::PrivateSlapd slapd;
    const Layout layout{"atlas", test::PrivateSlapd::base};
    specs::SafeSpec spec;
    spec.safe.value = "atlas";
    spec.directory = specs::DirectorySpec{};
    spec.directory->ldap.value = slapd.local_uri();
    spec.directory->base.value = layout.base;
    const auto api = make_api(slapd.local());
    if (!make_units(*api, layout)) return false;
    for (std::size_t i = 0; spec.users.size() < accounts; ++i) {
        specs::UserSpec user;
        user.name = fmt::format("user-{}", i);
        user.full_name.value = fmt::format("User Number {}", i);
        user.mail = specs::Located<std::string>{user.name + "@example.org"};
        user.ssh_keys = {{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI " + user.name}};
        // Of ten thousand names some share a number; a safe would refuse them.
        if (!api->add(
                entry_of(layout, model::make_id(model::Kind::account, user.name), Accounts("atlas").attributes(user))))
            return false;
        spec.users.push_back(std::move(user));
    }
    std::vector<std::string> everybody;
    for (const specs::UserSpec& user : spec.users) everybody.push_back(user.name);
    for (const std::string_view group : {members_group, super_group})
        if (!api->add(entry_of(
                layout, model::make_id(model::Kind::group, group),
                group_attributes("atlas", group, group == members_group ? everybody : std::vector<std::string>()))))
            return false;
    const driver::KeyRing keys;
    const driver::Setting setting{spec, driver::Places("atlas", slapd.directory()), keys};
    const auto look_and_plan = [&] {
        applying::DriverSet set(make_drivers(setting, make_api(slapd.local())));
        return applying::look_and_plan({.spec = spec, .mode = model::Mode::closed, .limits = {}}, set, {}).plan;
    };
    const model::Plan plan = look_and_plan();
    if (!plan.steps.empty() || !plan.unknown.empty()) {
        fmt::print("the plan is not empty\n");
        return false;
    }
    // By turns, so that what else the machine does meets all three.
    std::vector<double> bares;
    std::vector<double> wholes;
    std::vector<double> programs;
    for (int i = 0; i < 15; ++i) {
        bares.push_back(ms([&] {
            if (bare_search(slapd.local_uri(), layout.unit(model::Kind::account)) != accounts) std::abort();
        }));
        wholes.push_back(ms([&] { static_cast<void>(look_and_plan()); }));
        programs.push_back(ms([&] {
            test::must_run({"ldapsearch", "-Q", "-LLL", "-Y", "EXTERNAL", "-H", slapd.local_uri(), "-E",
                            "pr=1000/noprompt", "-b", layout.unit(model::Kind::account), "(safeName=atlas)"});
        }));
    }
    const double bare = median(bares);
    const double whole = median(wholes);
    const double program = median(programs);
    fmt::print(
        "{:>6} accounts: plan {:.1f} ms, ldapsearch {:.1f} ms, ratio {:.2f}; libldap alone {:.1f} ms, ratio {:.2f}\n",
        accounts, whole, program, whole / program, bare, whole / bare);
    return whole <= 1.3 * program;
}

}  // namespace
}  // namespace safe::ldap

int main(int argc, char** argv) {
    bool good = true;
    std::vector<std::size_t> sizes;
    for (int i = 1; i < argc; ++i) sizes.push_back(std::stoul(argv[i]));
    if (sizes.empty()) sizes = {1000, 10000};
    for (const std::size_t size : sizes) good = safe::ldap::compare(size) && good;
    return good ? 0 : 1;
}
