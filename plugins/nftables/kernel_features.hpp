// Whether this kernel can do what the firewall is made of. Asked of the kernel itself, by batches that it judges and
// drops: nothing is there afterwards and no module list has to be believed. (The kernel may load a module to answer.)
#pragma once

#include <vector>

#include "plugins/nftables/nftables_api.hpp"
#include "reconciler/model/resource.hpp"

namespace safe::nftables {

/// What is missing, each with the module and kernel option that bring it. Fails when the question cannot be asked.
[[nodiscard]] base::Result<std::vector<model::Refusal>> missing_features(Api& api);

}  // namespace safe::nftables
