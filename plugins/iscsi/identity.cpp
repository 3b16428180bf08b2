#include "plugins/iscsi/identity.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "reconciler/base/file.hpp"
#include "reconciler/model/attributes.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t most_bytes = 65536;

template <class T>
bool take(const Json& from, const char* key, T& into) {
    const auto at = from.find(key);
    if (at == from.end()) return false;
    if constexpr (std::is_same_v<T, std::string>) {
        if (!at->is_string()) return false;
    } else {
        if (!at->is_number_unsigned()) return false;
    }
    into = at->get<T>();
    return true;
}

std::optional<Pinned> parse(const std::string& text) {
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || json.value("version", Json()) != 1) return std::nullopt;
    Pinned pinned;
    std::uint64_t lun = 0;
    const bool whole =
        take(json, "portal", pinned.address.endpoint.portal) && take(json, "target", pinned.address.endpoint.target) &&
        take(json, "lun", lun) && take(json, "serial", pinned.identity.serial) &&
        take(json, "designator", pinned.identity.designator) && take(json, "capacity", pinned.identity.capacity);
    if (!whole || !json.contains("luks")) return std::nullopt;
    pinned.address.lun = static_cast<std::uint32_t>(lun);
    if (json["luks"].is_null()) return pinned;
    if (!json["luks"].is_string()) return std::nullopt;
    pinned.identity.luks = json["luks"].get<std::string>();
    return pinned;
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

}  // namespace

base::Result<std::optional<Pinned>> IdentityStore::load(const std::string& volume) const {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(path(volume), error);
    if (status.type() == fs::file_type::not_found) return std::nullopt;
    const auto text = base::read_file(path(volume), most_bytes);
    if (!text) return base::fail(text.error());
    if (auto pinned = parse(*text)) return pinned;
    return base::fail({"understand", path(volume).string(), "it is no record of a volume's identity",
                       "if you know that the storage is the right one, remove the file and apply again"});
}

base::Result<void> IdentityStore::save(const std::string& volume, const Pinned& pinned) const {
    std::error_code error;
    fs::create_directories(directory_.parent_path(), error);
    if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST)
        return base::fail({"make", directory_.string(), base::errno_text(errno), "make room on the disk"});
    const Identity& identity = pinned.identity;
    const Json json{{"version", 1},
                    {"portal", pinned.address.endpoint.portal},
                    {"target", pinned.address.endpoint.target},
                    {"lun", pinned.address.lun},
                    {"serial", identity.serial},
                    {"designator", identity.designator},
                    {"capacity", identity.capacity},
                    {"luks", identity.luks ? Json(*identity.luks) : Json()}};
    return base::replace_file(path(volume), json.dump(4) + "\n", 0600);
}

base::Result<std::map<std::string, Pinned>> IdentityStore::all() const {
    std::map<std::string, Pinned> found;
    std::error_code error;
    fs::directory_iterator at(directory_, error);
    if (error == std::errc::no_such_file_or_directory) return found;
    for (; !error && at != fs::directory_iterator(); at.increment(error)) {
        if (at->path().extension() != ".json") continue;
        const std::string volume = at->path().stem().string();
        const auto loaded = load(volume);
        if (!loaded) continue;
        if (const std::optional<Pinned>& pinned = *loaded) found.emplace(volume, *pinned);
    }
    if (error) return base::fail({"list", directory_.string(), error.message(), "run as root"});
    return found;
}

base::Result<void> compare(const std::string& volume, const Identity& pinned, const Identity& found,
                           const fs::path& record) {
    const auto refuse = [&](std::string cause, const std::string& first) {
        return base::fail({"attach", "the volume " + volume, std::move(cause),
                           first + fmt::format("if the change is meant, remove {} and apply again", record.string()),
                           base::Error::Kind::refused});
    };
    const std::string ask = "ask the storage's provider what changed; ";
    if (found.serial != pinned.serial)
        return refuse(
            fmt::format("its serial number is {}, and {} was recorded", or_none(found.serial), or_none(pinned.serial)),
            ask);
    if (found.designator != pinned.designator)
        return refuse(fmt::format("its identifier is {}, and {} was recorded", or_none(found.designator),
                                  or_none(pinned.designator)),
                      ask);
    if (found.capacity < pinned.capacity)
        return refuse(fmt::format("it holds {}, and {} was recorded", to_text(model::Bytes{found.capacity}),
                                  to_text(model::Bytes{pinned.capacity})),
                      ask);
    if (!pinned.luks || found.luks == pinned.luks) return {};
    if (!found.luks)
        return refuse(fmt::format("its LUKS header is gone; {} was recorded", *pinned.luks),
                      ask + "the header's backup can be put back with `safectl header restore` once it is attached; ");
    return refuse(fmt::format("its LUKS header has the UUID {}, and {} was recorded", *found.luks, *pinned.luks),
                  ask + "a new header must be accepted with `safectl header accept` as well; ");
}

Identity merged(const std::optional<Pinned>& pinned, const Identity& found) {
    Identity identity = found;
    if (!pinned) return identity;
    identity.capacity = std::max(found.capacity, pinned->identity.capacity);
    if (pinned->identity.luks) identity.luks = pinned->identity.luks;
    return identity;
}

}  // namespace safe::iscsi
