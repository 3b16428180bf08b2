// `safectl header` without the command: what is claimed is vouched for with the key in the world's ring, if any.
#pragma once

#include "plugins/luks/header_care.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/luks/vault_world.hpp"

namespace safe::test {

inline base::Result<std::string> vouch(VaultWorld& world,
                                       const base::Result<std::unique_ptr<members::HeaderClaim>>& claim) {
    if (!claim) return base::fail(claim.error());
    if (const driver::MemberKey* member = world.keys.member(); member != nullptr && (*claim)->needs()) {
        const auto keys = members::derive_keys(member->password, (*claim)->needs()->derivation, member->user);
        if (!keys) return base::fail(keys.error());
        if (const auto opened = (*claim)->prove(member->user, keys->luks); !opened) return base::fail(opened.error());
    }
    return (*claim)->carry_out();
}

inline base::Result<std::string> accept_header(VaultWorld& world, std::string_view volume) {
    const auto care = luks::make_header_care(world.setting(), volume, world.api);
    return vouch(world, (*care)->to_accept());
}

inline base::Result<std::string> restore_header(VaultWorld& world, std::string_view volume,
                                                const std::filesystem::path& from = {}) {
    const auto care = luks::make_header_care(world.setting(), volume, world.api);
    return vouch(world, (*care)->to_restore(from));
}

}  // namespace safe::test
