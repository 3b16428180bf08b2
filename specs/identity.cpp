#include "specs/identity.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <uuid/uuid.h>

#include <array>
#include <span>

#include "specs/digest.hpp"

namespace safe::specs {
namespace {

// e42c8e6a-80ee-49bf-8918-7db0f6e294df, drawn at random once (version 4). Never to be changed: every UUID follows from
// it.
constexpr std::array<unsigned char, 16> uuid_namespace{0xe4, 0x2c, 0x8e, 0x6a, 0x80, 0xee, 0x49, 0xbf,
                                                       0x89, 0x18, 0x7d, 0xb0, 0xf6, 0xe2, 0x94, 0xdf};

std::string full_name(std::string_view safe, std::string_view vm) { return fmt::format("{}/{}", safe, vm); }

}  // namespace

std::string uuid_of(std::string_view safe, std::string_view vm) {
    const std::string name = full_name(safe, vm);
    std::array<unsigned char, 16> uuid{};
    uuid_generate_sha1(uuid.data(), uuid_namespace.data(), name.data(), name.size());
    std::array<char, UUID_STR_LEN> text{};
    uuid_unparse_lower(uuid.data(), text.data());
    return text.data();
}

std::string mac_of(std::string_view safe, std::string_view vm) {
    const Sha256Bytes digest = sha256(full_name(safe, vm));
    return fmt::format("02:{:02x}", fmt::join(std::span(digest).first<5>(), ":"));
}

std::string tap_of(std::string_view safe, std::string_view vm) {
    const Sha256Bytes digest = sha256(full_name(safe, vm));
    return fmt::format("sf{:02x}", fmt::join(std::span(digest).first<6>(), ""));
}

}  // namespace safe::specs
