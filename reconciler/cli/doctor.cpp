#include "reconciler/verify/doctor.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "reconciler/cli/findings.hpp"
#include "reconciler/cli/menu.hpp"

namespace safe::cli {

namespace {

struct DoctorOptions {
    std::optional<std::string> file;  // none: the host alone
    Format format = Format::text;
};

void declare(CLI::App& app, DoctorOptions& options) {
    app.add_option("-f,--file", options.file, "fit for this spec")->option_text("FILE");
    add_format(app, options.format);
}

ExitCode doctor(const DoctorOptions& options, const Surroundings& /*around*/) {
    std::optional<specs::SafeSpec> spec;
    if (options.file) {
        spec = load({.file = *options.file, .format = options.format, .state_dir = {}});
        if (!spec) return failure;
    }
    const verify::Report report = verify::examine(verify::System(), spec ? &*spec : nullptr);
    say("{}", options.format == Format::json
                  ? findings_json(report, "diagnosis")
                  : findings_text(report, "this host is fit to be a hypervisor",
                                  "this host is NOT fit to be a hypervisor", style_of(STDOUT_FILENO)));
    return report.proved() ? success : failure;
}

}  // namespace

void add_doctor(Menu& menu) {
    menu.add<DoctorOptions>("doctor", "Tell whether this host is fit to be a hypervisor. Changes nothing.", declare,
                            doctor);
}

}  // namespace safe::cli
