#include "plugins/builtin.hpp"
#include "reconciler/cli/cli.hpp"

int main(int argc, char** argv) {
    namespace plugins = safe::plugins;
    return safe::cli::run(argc, argv,
                          {plugins::make_drivers, plugins::missing_plugins, plugins::make_vault_keys,
                           plugins::make_directory, plugins::discard_state});
}
