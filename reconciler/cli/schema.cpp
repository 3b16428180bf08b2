#include "specs/schema.hpp"

#include <fmt/format.h>

#include "reconciler/cli/menu.hpp"

namespace safe::cli {
namespace {

struct SchemaOptions {
    bool reference = false;
};

void declare(CLI::App& app, SchemaOptions& options) {
    app.add_flag("--reference", options.reference, "print the reference in Markdown instead");
}

ExitCode schema(const SchemaOptions& options, const Surroundings& /*around*/) {
    say("{}", options.reference ? specs::reference_markdown() : specs::json_schema());
    return success;
}

}  // namespace

void add_schema(Menu& menu) {
    menu.add<SchemaOptions>("schema", "Print the JSON Schema of safe.yaml.", declare, schema);
}

}  // namespace safe::cli
