// safectl discard-state: for a guest whose saved memory is missing or will not restore. Its memory is given up, and it
// boots anew from its disk; nothing else does that.
#include <fmt/format.h>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/cli/consent.hpp"
#include "reconciler/cli/people.hpp"

namespace safe::cli {
namespace {

using base::Result;

struct DiscardStateOptions {
    SpecOptions spec;
    std::string vm;
    bool yes = false;
};

void declare(CLI::App& app, DiscardStateOptions& options) {
    app.add_option("vm", options.vm, "the virtual machine")->option_text("VM")->required();
    add_safe(app, options.spec);
    app.add_flag("--yes", options.yes, "do not ask");
}

Result<void> agreed(const DiscardStateOptions& options, const std::stop_token& stop) {
    return ask_consent({.attempt = "discard the saved state of",
                        .object = options.vm,
                        .text = fmt::format("lose for ever what {} had in memory?", options.vm)},
                       options.yes, options.spec.format, stop);
}

Result<std::string> discard(const DiscardStateOptions& options, const specs::SafeSpec& spec,
                            const Surroundings& around) {
    const driver::Places places = places_of(spec, options.spec);
    const driver::KeyRing no_key;
    if (Result<void> yes = agreed(options, around.stop); !yes) return base::fail(yes.error());
    const Result<applying::LockFile> lock = applying::LockFile::take(places.state_dir() / "lock");
    if (!lock) return base::fail(lock.error());
    return around.builtin.discard_state({spec, places, no_key}, options.vm);
}

ExitCode discard_state(const DiscardStateOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const Result<std::string> done = discard(options, *spec, around);
    if (!done) return report_error(done.error(), options.spec.format);
    print_done(*done, options.spec.format);
    return success;
}

}  // namespace

void add_discard_state(Menu& menu) {
    menu.add<DiscardStateOptions>("discard-state", "Give up a VM's saved memory, so that it boots anew.", declare,
                                  discard_state);
}

}  // namespace safe::cli
