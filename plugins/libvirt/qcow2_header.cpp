#include "plugins/libvirt/qcow2_header.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::libvirt {
namespace {

constexpr std::size_t enough = std::size_t{64} << 10;
constexpr std::uint64_t magic = 0x514649FB;
constexpr std::uint64_t external_data_bit = 1U << 2U;

std::uint64_t big_endian(std::span<const std::byte> data, std::size_t offset, std::size_t length) {
    std::uint64_t value = 0;
    for (const std::byte byte : data.subspan(offset, length))
        value = value << 8U | std::to_integer<std::uint64_t>(byte);
    return value;
}

}  // namespace

std::optional<Qcow2Header> parse_qcow2_header(std::span<const std::byte> start) {
    if (start.size() < 72 || big_endian(start, 0, 4) != magic) return std::nullopt;
    const std::uint64_t version = big_endian(start, 4, 4);
    if (version != 2 && (version != 3 || start.size() < 104)) return std::nullopt;
    Qcow2Header header{.size = big_endian(start, 24, 8), .backing_file = {}};
    header.encrypted = big_endian(start, 32, 4) != 0;
    if (version == 3) header.external_data = (big_endian(start, 72, 8) & external_data_bit) != 0;
    const std::uint64_t offset = big_endian(start, 8, 8);
    const std::uint64_t length = big_endian(start, 16, 4);
    if (offset == 0) return header;
    if (offset > start.size() || length == 0 || length > start.size() - offset) return std::nullopt;
    for (const std::byte byte : start.subspan(offset, length)) header.backing_file += std::to_integer<char>(byte);
    return header;
}

base::Result<std::optional<Qcow2Header>> read_qcow2_header(const std::filesystem::path& path) {
    const base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::vector<std::byte> start(enough);
    const ssize_t got = file ? ::pread(file.get(), start.data(), start.size(), 0) : -1;
    if (got < 0)
        return base::fail({.attempt = "read the header of", .object = path.string(), .cause = base::errno_text(errno)});
    start.resize(static_cast<std::size_t>(got));
    return parse_qcow2_header(start);
}

}  // namespace safe::libvirt
