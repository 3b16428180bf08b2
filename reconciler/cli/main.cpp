#include "plugins/builtin.hpp"
#include "reconciler/cli/cli.hpp"

namespace {

namespace driver = safe::driver;
namespace base = safe::base;
using safe::cli::MemberServices;

base::Result<MemberServices> make_member_services(const driver::Setting& setting) {
    MemberServices services{.vault = safe::plugins::make_vault_keys(setting),
                            .directory = safe::plugins::make_directory(setting),
                            .attempts = nullptr};
    const auto missing = [&](std::string part) {
        return base::fail({"manage the members of", "safe " + setting.places.safe(),
                           "this build of safectl is without " + std::move(part), "use a build that has it",
                           base::Error::Kind::refused});
    };
    if (!services.vault) return missing("the plugin luks");
    if (!services.directory) return missing("the plugin ldap");
    if (!services.attempts) return missing("a durable memory of wrong passwords");
    return services;
}

}  // namespace

int main(int argc, char** argv) {
    return safe::cli::run(argc, argv,
                          {safe::plugins::make_drivers, safe::plugins::missing_plugins, make_member_services});
}
