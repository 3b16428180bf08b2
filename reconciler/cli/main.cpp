#include "plugins/builtin.hpp"
#include "reconciler/cli/cli.hpp"

int main(int argc, char** argv) {
    return safe::cli::run(argc, argv, {safe::plugins::make_drivers, safe::plugins::missing_plugins});
}
