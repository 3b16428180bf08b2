// Our tokens in a LUKS2 header:
//
//   {"type": "safe-vault", "keyslots": [], "salt": hex, "memory": bytes, "passes": n, "sequence": n}
//   {"type": "safe-user", "keyslots": ["N"], "user": name, "generation": n}       one a member and generation
//   {"type": "safe-provisioning", "keyslots": []}                                 a file system may be made in it
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/luks/header_image.hpp"
#include "reconciler/base/key_derivation.hpp"

namespace safe::luks {

inline constexpr std::string_view user_token_type = "safe-user";

struct VaultToken {
    std::vector<std::byte> salt;
    base::DerivationCost cost;
    std::uint64_t sequence = 0;
    bool operator==(const VaultToken&) const = default;
};

struct UserToken {
    std::string id;  // of the token: "3"
    std::string user;
    std::uint64_t generation = 0;  // from 1
    std::vector<int> slots;        // empty: unfinished
};

[[nodiscard]] Json to_json(const VaultToken& token);
[[nodiscard]] Json user_token(const std::string& user, std::uint64_t generation, const std::vector<int>& slots);
[[nodiscard]] Json provisioning_token();

/// Within bounds: 32 MiB to 4 GiB, 1 to 64 passes.
[[nodiscard]] bool sound_cost(const base::DerivationCost& cost);

/// nullopt when there is none, or one whose values are out of bounds (the cost, or a salt that has not 16 to 64
/// bytes): its costs are worked off before anything is proven.
[[nodiscard]] std::optional<VaultToken> vault_token(const Header& header);
/// By user, then generation; what has not this form is left out.
[[nodiscard]] std::vector<UserToken> user_tokens(const Header& header);
[[nodiscard]] bool has_provisioning_token(const Header& header);
/// The ids of tokens of one type.
[[nodiscard]] std::vector<std::string> tokens_of(const Header& header, std::string_view type);

/// The token safe-vault with the next sequence, as an edit; empty without a sound one.
[[nodiscard]] std::vector<std::pair<std::string, Json>> next_vault_token(const Header& header);

/// How many more members fit, by free keyslots and by free metadata.
[[nodiscard]] int room_in(const Header& header);

}  // namespace safe::luks
