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

fs::path Layout::image(const model::ResourceId& id) const { return images() / encode_segments(id.segments); }

std::optional<model::ResourceId> Layout::image_of(const fs::path& path) const {
    if (path.filename() != "current" || path.parent_path().parent_path() != images()) return std::nullopt;
    auto segments = decode_segments(path.parent_path().filename().string());
    if (!segments) return std::nullopt;
    return model::ResourceId{model::Kind::image, std::move(*segments)};
}

model::ResourceId image_id(const specs::FilePath& path) {
    model::ResourceId id{model::Kind::image, {}};
    for (const fs::path& part : fs::path(path.written).lexically_normal().relative_path())
        if (!part.empty() && part != ".") id.segments.push_back(part.string());
    return id;
}

std::string encode_segments(const std::vector<std::string>& segments) {
    std::string name;
    for (const std::string& segment : segments) {
        if (!name.empty()) name += "%2F";
        for (const char c : segment)
            name += is_plain(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return name;
}

std::optional<std::vector<std::string>> decode_segments(std::string_view name) {
    std::vector<std::string> segments(1);
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] != '%') {
            segments.back() += name[i];
            continue;
        }
        unsigned code = 0;
        const std::string_view digits = name.substr(i + 1, 2);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (error != std::errc{} || end != digits.data() + 2) return std::nullopt;
        if (code == '/')
            segments.emplace_back();
        else
            segments.back() += static_cast<char>(code);
        i += 2;
    }
    for (const std::string& segment : segments)
        if (segment.empty()) return std::nullopt;
    if (encode_segments(segments) != name) return std::nullopt;
    return segments;
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
