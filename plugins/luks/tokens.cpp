#include "plugins/luks/tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace safe::luks {
namespace {

constexpr std::string_view vault_type = "safe-vault";
constexpr std::string_view provisioning_type = "safe-provisioning";
// What a keyslot with its token takes of the metadata at most, in the form libcryptsetup writes.
constexpr std::uint64_t metadata_per_member = 512;

std::optional<std::uint64_t> count_in(const Json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<std::uint64_t>();
}

std::string to_hex(const std::vector<std::byte>& bytes) {
    std::string hex;
    for (const std::byte byte : bytes) hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return hex;
}

std::optional<std::vector<std::byte>> from_hex(const std::string& hex) {
    constexpr std::string_view digits = "0123456789abcdef";
    if (hex.size() % 2 != 0) return std::nullopt;
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const auto high = digits.find(hex[i]);
        const auto low = digits.find(hex[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
        bytes.push_back(static_cast<std::byte>(high << 4U | low));
    }
    return bytes;
}

}  // namespace

Json to_json(const VaultToken& token) {
    return {{"type", vault_type},          {"keyslots", Json::array()},   {"salt", to_hex(token.salt)},
            {"memory", token.cost.memory}, {"passes", token.cost.passes}, {"sequence", token.sequence}};
}

Json user_token(const std::string& user, std::uint64_t generation, const std::vector<int>& slots) {
    Json names = Json::array();
    for (const int slot : slots) names.push_back(std::to_string(slot));
    return {{"type", user_token_type}, {"keyslots", std::move(names)}, {"user", user}, {"generation", generation}};
}

Json provisioning_token() { return {{"type", provisioning_type}, {"keyslots", Json::array()}}; }

bool sound_cost(const base::DerivationCost& cost) {
    return cost.memory >= 32 * mebibyte && cost.memory <= 4096 * mebibyte && cost.passes >= 1 && cost.passes <= 64;
}

std::optional<VaultToken> vault_token(const Header& header) {
    const std::vector<std::string> ids = tokens_of(header, vault_type);
    if (ids.size() != 1) return std::nullopt;
    const Json& token = object_in(header.metadata, "tokens")[ids.front()];
    std::optional<std::vector<std::byte>> salt = from_hex(text_in(token, "salt"));
    const auto memory = count_in(token, "memory");
    const auto passes = count_in(token, "passes");
    const auto sequence = count_in(token, "sequence");
    if (!salt || salt->size() < 16 || salt->size() > 64 || !memory || !passes || *passes > UINT32_MAX || !sequence)
        return std::nullopt;
    const base::DerivationCost cost{.memory = *memory, .passes = static_cast<std::uint32_t>(*passes)};
    if (!sound_cost(cost)) return std::nullopt;
    return VaultToken{.salt = *std::move(salt), .cost = cost, .sequence = *sequence};
}

std::vector<UserToken> user_tokens(const Header& header) {
    std::vector<UserToken> found;
    for (const std::string& id : tokens_of(header, user_token_type)) {
        const Json& json = object_in(header.metadata, "tokens")[id];
        const auto generation = count_in(json, "generation");
        UserToken token{.id = id, .user = text_in(json, "user"), .generation = generation.value_or(0), .slots = {}};
        if (token.generation == 0 || token.user.empty() || token.user.find('/') != std::string::npos) continue;
        for (const Json& slot : json.value("keyslots", Json::array())) {
            const std::string name = slot.is_string() ? slot.get<std::string>() : "";
            for (int number = 0; number < static_cast<int>(slot_limit); ++number)
                if (name == std::to_string(number)) token.slots.push_back(number);
        }
        found.push_back(std::move(token));
    }
    std::ranges::sort(found, {}, [](const UserToken& token) { return std::tie(token.user, token.generation); });
    return found;
}

bool has_provisioning_token(const Header& header) { return !tokens_of(header, provisioning_type).empty(); }

std::vector<std::string> tokens_of(const Header& header, std::string_view type) {
    std::vector<std::string> ids;
    for (const auto& [id, token] : object_in(header.metadata, "tokens").items())
        if (text_in(token, "type") == type) ids.push_back(id);
    return ids;
}

std::vector<std::pair<std::string, Json>> next_vault_token(const Header& header) {
    std::optional<VaultToken> token = vault_token(header);
    if (!token) return {};
    ++token->sequence;
    return {{tokens_of(header, vault_type).front(), to_json(*token)}};
}

int room_in(const Header& header) {
    const std::uint64_t used = header.metadata.dump(-1, ' ', false, Json::error_handler_t::replace).size() + 1;
    const std::uint64_t all = header.copy_size - binary_size;
    const std::uint64_t by_metadata = used < all ? (all - used) / metadata_per_member : 0;
    const auto count = [&](const char* key) {
        return std::min<std::uint64_t>(object_in(header.metadata, key).size(), slot_limit);
    };
    std::uint64_t room = std::min({by_metadata, slot_limit - count("keyslots"), slot_limit - count("tokens")});
    // Areas: those of the keyslots that are there are as large as the next one's.
    const std::uint64_t areas =
        end_of_areas(header) > 2 * header.copy_size ? end_of_areas(header) - 2 * header.copy_size : 0;
    for (const auto& [name, slot] : object_in(header.metadata, "keyslots").items())
        if (const auto size = number_in(object_in(slot, "area"), "size"); size && *size > 0) {
            const std::uint64_t fit = areas / *size;
            room = std::min(room, fit > count("keyslots") ? fit - count("keyslots") : 0);
        }
    return static_cast<int>(room);
}

}  // namespace safe::luks
