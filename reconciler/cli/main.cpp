#include "plugins/builtin.hpp"
#include "reconciler/cli/cli.hpp"

int main(int argc, char** argv) {
    namespace plugins = safe::plugins;
    return safe::cli::run(argc, argv,
                          {.make_drivers = plugins::make_drivers,
                           .missing_plugins = plugins::missing_plugins,
                           .discard_state = plugins::discard_state,
                           .make_vault_keys = plugins::make_vault_keys,
                           .make_directory = plugins::make_directory,
                           .make_header_care = plugins::make_header_care});
}
