#include "plugins/libvirt/layout.hpp"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

}  // namespace

fs::path Layout::image(const model::ResourceId& id) const { return images() / encode_path(id.path); }

std::optional<model::ResourceId> Layout::image_of(const fs::path& path) const {
    if (path.filename() != "current" || path.parent_path().parent_path() != images()) return std::nullopt;
    auto decoded = decode_path(path.parent_path().filename().string());
    if (!decoded) return std::nullopt;
    return model::ResourceId{model::Kind::image, std::move(*decoded)};
}

model::ResourceId image_id(const specs::FilePath& path) {
    fs::path parts;
    for (const fs::path& part : fs::path(path.written).lexically_normal().relative_path())
        if (!part.empty() && part != ".") parts /= part;
    return {model::Kind::image, parts.string()};
}

std::string encode_path(std::string_view path) {
    std::string name;
    for (const char c : path)
        name += is_plain(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return name;
}

std::optional<std::string> decode_path(std::string_view name) {
    std::string path;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] != '%') {
            path += name[i];
            continue;
        }
        unsigned code = 0;
        const std::string_view digits = name.substr(i + 1, 2);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (error != std::errc{} || end != digits.data() + 2) return std::nullopt;
        path += static_cast<char>(code);
        i += 2;
    }
    if (!model::is_path(path) || encode_path(path) != name) return std::nullopt;
    return path;
}

base::Result<void> make_passable(const fs::path& directory, const fs::path& state_dir) {
    std::error_code error;
    fs::create_directories(directory, error);
    for (fs::path part = directory; !error; part = part.parent_path()) {
        fs::permissions(part, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec, error);
        if (part == state_dir || part == part.parent_path()) break;
    }
    if (!error) return {};
    return base::fail({.attempt = "make the directory",
                       .object = directory.string(),
                       .cause = error.message(),
                       .advice = "it must be possible to write there; run as root, or name another --state-dir"});
}

}  // namespace safe::libvirt
