#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "reconciler/cli/menu.hpp"

namespace safe::cli {

namespace {

ExitCode validate(const SpecOptions& options, const Surroundings& /*around*/) {
    const std::optional<specs::SafeSpec> spec = load(options);
    if (options.format == Format::json) {
        nlohmann::ordered_json document{
            {"version", 1}, {"kind", "validation"}, {"file", options.file}, {"valid", spec.has_value()}};
        if (spec) document["safe"] = *spec->safe;
        say_document(document);
    }
    if (!spec) return failure;
    if (options.format == Format::text)
        say("{}: safe {} is valid: {} VMs, {} firewall rules\n", options.file, *spec->safe, spec->vms.size(),
            spec->firewall.size());
    return success;
}

}  // namespace

void add_validate(Menu& menu) {
    menu.add<SpecOptions>("validate", "Judge a spec: syntax, types, domain rules. Touches nothing.", add_spec,
                          validate);
}

}  // namespace safe::cli
