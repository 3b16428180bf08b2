#include "plugins/iscsi/scsi.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

namespace safe::iscsi {
namespace {

std::uint64_t big_endian(Bytes bytes) {
    std::uint64_t value = 0;
    for (const std::byte byte : bytes) value = value << 8U | std::to_integer<std::uint64_t>(byte);
    return value;
}

std::string hex(Bytes bytes) {
    std::string text;
    for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return text;
}

/// Up to the first NUL; what is not printable becomes '?', so that it can neither forge a line nor vanish.
std::string printable(Bytes bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        const char c = static_cast<char>(byte);
        if (c == '\0') break;
        text += c >= ' ' && c <= '~' ? c : '?';
    }
    const auto first = text.find_first_not_of(' ');
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// What follows the header of a VPD page, as long as header and data agree; nullopt when it is another page.
std::optional<Bytes> page_content(Bytes page, std::uint8_t code) {
    constexpr std::size_t header = 4;
    if (page.size() < header || std::to_integer<std::uint8_t>(page[1]) != code) return std::nullopt;
    const std::size_t length = big_endian(page.subspan(2, 2));
    return page.subspan(header, std::min(length, page.size() - header));
}

}  // namespace

std::string serial_of(Bytes page) {
    const auto content = page_content(page, 0x80);
    return content ? printable(*content) : std::string();
}

std::string designator_of(Bytes page) {
    const auto content = page_content(page, 0x83);
    if (!content) return {};
    // Best first: unique in the world by a registry, then by a vendor's name, and last what the storage numbers itself.
    struct Type {
        unsigned code;
        bool local;  // a NAA name of the locally assigned kind (its first four bits are 3)
        std::string_view prefix;
    };
    constexpr std::array<Type, 4> types{
        {{3, false, "naa."}, {2, false, "eui."}, {1, false, "t10."}, {3, true, "naa."}}};
    std::array<std::string, types.size()> found;
    for (Bytes rest = *content; rest.size() >= 4;) {
        const std::size_t length = std::to_integer<std::size_t>(rest[3]);
        if (length > rest.size() - 4) break;
        const Bytes value = rest.subspan(4, length);
        const unsigned association = std::to_integer<unsigned>(rest[1]) >> 4U & 3U;
        const unsigned type = std::to_integer<unsigned>(rest[1]) & 15U;
        const bool local = type == 3 && length > 0 && (value[0] >> 4U) == std::byte{3};
        for (std::size_t i = 0; i < types.size(); ++i)
            if (association == 0 && length > 0 && type == types[i].code && local == types[i].local && found[i].empty())
                found[i] = std::string(types[i].prefix) + (type == 1 ? printable(value) : hex(value));
        rest = rest.subspan(4 + length);
    }
    for (std::string& text : found)
        if (!text.empty()) return std::move(text);
    return {};
}

bool is_disk(Bytes inquiry) { return !inquiry.empty() && inquiry[0] == std::byte{0}; }

std::optional<Capacity> capacity_of(Bytes answer) {
    if (answer.size() < 12) return std::nullopt;
    const std::uint64_t last = big_endian(answer.subspan(0, 8));
    const auto block_size = static_cast<std::uint32_t>(big_endian(answer.subspan(8, 4)));
    if (!std::has_single_bit(block_size) || block_size < 512 || block_size > 65536) return std::nullopt;
    if (last >= (std::uint64_t{1} << 62U) / block_size) return std::nullopt;
    return Capacity{last + 1, block_size};
}

bool write_protected(Bytes answer) { return answer.size() >= 3 && (answer[2] & std::byte{0x80}) != std::byte{0}; }

std::vector<std::uint32_t> luns_of(Bytes answer) {
    constexpr std::size_t entry = 8;
    if (answer.size() < entry) return {};
    const std::size_t length = std::min<std::size_t>(big_endian(answer.subspan(0, 4)), answer.size() - entry);
    std::vector<std::uint32_t> luns;
    for (Bytes rest = answer.subspan(entry, length); rest.size() >= entry; rest = rest.subspan(entry)) {
        const unsigned method = std::to_integer<unsigned>(rest[0]) >> 6U;  // 0: peripheral, 1: flat (SAM-5, 4.7.7)
        if (method <= 1) luns.push_back(static_cast<std::uint32_t>(big_endian(rest.subspan(0, 2)) & 0x3fffU));
    }
    std::ranges::sort(luns);
    return luns;
}

std::optional<std::string> luks_uuid(Bytes beginning) {
    constexpr std::string_view magic("LUKS\xba\xbe", 6);
    constexpr std::size_t uuid_offset = 168;  // the same in both formats
    constexpr std::size_t uuid_size = 40;
    if (beginning.size() < uuid_offset + uuid_size) return std::nullopt;
    for (std::size_t i = 0; i < magic.size(); ++i)
        if (static_cast<char>(beginning[i]) != magic[i]) return std::nullopt;
    const std::string uuid = printable(beginning.subspan(uuid_offset, uuid_size));
    const bool sound = uuid.size() == 36 && uuid.find_first_not_of("0123456789abcdef-") == std::string::npos;
    return sound ? uuid : "unreadable";
}

}  // namespace safe::iscsi
