#include "specs/validator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "specs/judgement.hpp"

namespace safe::specs {
namespace {

/// libvirt runs programs that a URI names (its parameters `command` and `netcat`, its transport `ext`); a spec may come
/// from a stranger, so what is not known to be harmless is refused.
void judge_hypervisor(Judgement& judgement) {
    constexpr std::array<std::string_view, 2> harmless{"socket", "mode"};
    const Located<std::string>& uri = judgement.spec.hypervisor;
    const std::string_view text = *uri;
    const std::string_view scheme = text.substr(0, text.find(':'));
    if (scheme.ends_with("+ext")) {
        judgement.diagnostics.error(uri.at, "hypervisor: the transport ext runs a program of the spec's choice",
                                    "use another, such as qemu:///system");
    }
    std::size_t start = text.find('?');
    while (start != std::string_view::npos) {
        const std::string_view rest = text.substr(start + 1);
        const std::size_t end = rest.find_first_of("&;");
        const std::string_view name = rest.substr(0, std::min(end, rest.find('=')));
        if (std::ranges::find(harmless, name) == harmless.end()) {
            judgement.diagnostics.error(uri.at, fmt::format("hypervisor: the parameter {} is not allowed", name),
                                        fmt::format("allowed are {}", fmt::join(harmless, " and ")));
        }
        start = end == std::string_view::npos ? end : start + 1 + end;
    }
}

}  // namespace

void validate(const SafeSpec& spec, const Unsound& unsound, Diagnostics& diagnostics) {
    Judgement judgement(spec, unsound, diagnostics);
    judge_suspend(judgement);
    judge_hypervisor(judgement);
    judge_network(judgement);
    judge_volumes(judgement);
    judge_vms(judgement);
    judge_mounts(judgement);
    judge_firewall(judgement);
    judge_people(judgement);
    judge_removals(judgement);
}

}  // namespace safe::specs
