#include "plugins/iscsi/node_record.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view volume_comment = "# volume of the safe: ";
constexpr std::size_t most_value = 255;  // open-iscsi's own limit

std::unexpected<base::Error> record_error(std::string attempt, const fs::path& path, int error_number) {
    return base::fail({std::move(attempt), path.string(), base::errno_text(error_number),
                       "see whether the file system of /etc is full or read-only, and apply again"});
}

/// Whether a word keeps its meaning between " = " and the end of the line.
bool writable(std::string_view word) {
    return !word.empty() && word.size() <= most_value &&
           std::ranges::all_of(word, [](char c) { return c > ' ' && c <= '~'; });
}

/// "192.0.2.10,3260": how directories name a portal. The group's tag follows after a further comma.
std::string directory_prefix(const std::string& portal) {
    std::string name = portal;
    std::ranges::replace(name, ':', ',');
    return name;
}

base::Result<void> check(const Login& login) {
    const auto refuse = [&](std::string object, std::string cause, std::string advice) {
        return base::fail({"write the node record of", std::move(object), std::move(cause), std::move(advice),
                           base::Error::Kind::refused});
    };
    const std::string& target = login.endpoint.target;
    if (!writable(target) || target.find('/') != std::string::npos || target.starts_with('.'))
        return refuse("a target", "its name is no iSCSI name", "correct `target`");
    if (login.chap == nullptr) return {};
    if (!writable(login.chap->user))
        return refuse(target, "the CHAP user has a blank or a character that is not ASCII", "choose another user");
    if (!writable(login.chap->secret.view()))
        return refuse(target,
                      "the CHAP secret is empty, longer than 255 characters, or has a blank or a character that "
                      "is not ASCII",
                      "agree with the storage on a secret of letters and digits");
    return {};
}

std::string first_part(const Login& login, const std::string& mark) {
    const std::string& portal = login.endpoint.portal;
    const auto colon = portal.rfind(':');
    return fmt::format(
        "# BEGIN RECORD 2.1.8\n"
        "# Written by safectl and removed when the session ends; changes are lost.\n"
        "{}{}\n"
        "node.name = {}\n"
        "node.tpgt = {}\n"
        "node.startup = manual\n"
        "node.leading_login = No\n"
        "iface.iscsi_ifacename = {}\n"
        "iface.transport_name = tcp\n"
        "node.session.nr_sessions = 1\n"
        "node.session.scan = manual\n"
        "node.session.initial_login_retry_max = 2\n"
        "node.session.timeo.replacement_timeout = {}\n"
        "node.session.err_timeo.abort_timeout = 15\n"
        "node.session.err_timeo.lu_reset_timeout = 15\n"
        "node.session.err_timeo.tgt_reset_timeout = 15\n"
        "node.session.err_timeo.host_reset_timeout = 30\n"
        "node.conn[0].address = {}\n"
        "node.conn[0].port = {}\n"
        "node.conn[0].startup = manual\n"
        "node.conn[0].timeo.login_timeout = {}\n"
        "node.conn[0].timeo.logout_timeout = {}\n"
        "node.conn[0].timeo.auth_timeout = {}\n"
        "node.conn[0].timeo.noop_out_interval = {}\n"
        "node.conn[0].timeo.noop_out_timeout = {}\n"
        "node.conn[0].iscsi.HeaderDigest = CRC32C,None\n"
        "node.conn[0].iscsi.DataDigest = CRC32C,None\n",
        volume_comment, login.volume, login.endpoint.target, login.portal_group, mark, login.timeouts.replacement,
        portal.substr(0, colon), portal.substr(colon + 1), login.timeouts.login, login.timeouts.login,
        login.timeouts.login, login.timeouts.noop, login.timeouts.noop);
}

/// Replaces a file whole. What is half written lies in `configuration` itself, where open-iscsi reads no records.
base::Result<void> put(const fs::path& configuration, const fs::path& path, std::string_view content) {
    const fs::path fresh = configuration / ("." + path.filename().string() + ".new");
    if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return record_error("remove", fresh, errno);
    const base::FileDescriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return record_error("write", fresh, errno);
    for (std::string_view rest = content; !rest.empty();) {
        const ssize_t written = ::write(file.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            const int why = errno;
            ::unlink(fresh.c_str());
            return record_error("write", fresh, why);
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(file.get()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
        const int why = errno;
        ::unlink(fresh.c_str());
        return record_error("write", path, why);
    }
    return {};
}

base::Result<std::vector<fs::path>> entries(const fs::path& directory) {
    std::vector<fs::path> found;
    std::error_code error;
    fs::directory_iterator at(directory, error);
    if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) return found;
    for (; !error && at != fs::directory_iterator(); at.increment(error)) found.push_back(at->path());
    if (error) return record_error("list", directory, error.value());
    std::ranges::sort(found);
    return found;
}

/// From the comment at its beginning. No more is read than that: what follows holds the secret.
std::optional<std::string> volume_in(const fs::path& record) {
    const base::FileDescriptor file(::open(record.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    std::array<char, 256> beginning{};
    const ssize_t got = file ? ::read(file.get(), beginning.data(), beginning.size()) : -1;
    const std::string_view text(beginning.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    const auto at = text.find(volume_comment);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(at + volume_comment.size());
    return std::string(rest.substr(0, rest.find('\n')));
}

}  // namespace

base::Result<base::Secret> record_text(const Login& login, const std::string& mark) {
    if (base::Result<void> sound = check(login); !sound) return base::fail(std::move(sound.error()));
    std::string before = first_part(login, mark);
    std::string_view secret;
    if (login.chap != nullptr) {
        before += fmt::format(
            "node.session.auth.authmethod = CHAP\nnode.session.auth.username = {}\nnode.session.auth.password = ",
            login.chap->user);
        secret = login.chap->secret.view();
    } else {
        before += "node.session.auth.authmethod = None";
    }
    constexpr std::string_view after = "\n# END RECORD\n";
    base::Result<base::Secret> text = base::Secret::of_size(before.size() + secret.size() + after.size());
    if (!text) return text;
    auto to = text->bytes().begin();
    for (const std::string_view part : {std::string_view(before), secret, after})
        to = std::ranges::copy(std::as_bytes(std::span(part)), to).out;
    return text;
}

base::Result<void> write_record(const fs::path& nodes, const Login& login, const std::string& mark) {
    const auto text = record_text(login, mark);
    if (!text) return base::fail(text.error());
    // One record an endpoint: the group's tag may be another one than last time.
    if (base::Result<void> gone = remove_record(nodes, login.endpoint, mark); !gone) return gone;
    fs::path directory = nodes;
    for (const std::string& part :
         {std::string(), login.endpoint.target,
          fmt::format("{},{}", directory_prefix(login.endpoint.portal), login.portal_group)}) {
        if (!part.empty()) directory /= part;
        if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return record_error("make", directory, errno);
    }
    return put(nodes.parent_path(), directory / mark, text->view());
}

base::Result<std::vector<SeenRecord>> list_records(const fs::path& nodes, const std::string& mark) {
    std::vector<SeenRecord> records;
    const auto targets = entries(nodes);
    if (!targets) return base::fail(targets.error());
    for (const fs::path& target : *targets) {
        const auto portals = entries(target);
        if (!portals) return base::fail(portals.error());
        for (const fs::path& portal : *portals) {
            std::error_code error;
            const fs::file_status status = fs::symlink_status(portal / mark, error);
            if (status.type() == fs::file_type::none) return record_error("look at", portal / mark, error.value());
            if (!fs::exists(status)) continue;
            const auto volume = volume_in(portal / mark);
            if (!volume) continue;  // made by a discovery through all interfaces, say
            std::string name = portal.filename().string();
            name = name.substr(0, name.rfind(','));
            std::ranges::replace(name, ',', ':');
            records.push_back({{name, target.filename().string()}, *volume});
        }
    }
    return records;
}

base::Result<void> remove_record(const fs::path& nodes, const Endpoint& endpoint, const std::string& mark) {
    const fs::path target = nodes / endpoint.target;
    const auto portals = entries(target);
    if (!portals) return base::fail(portals.error());
    const std::string prefix = directory_prefix(endpoint.portal) + ",";
    for (const fs::path& portal : *portals) {
        if (!portal.filename().string().starts_with(prefix)) continue;
        if (::unlink((portal / mark).c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
            return record_error("remove", portal / mark, errno);
        ::rmdir(portal.c_str());  // stays while others' records lie in it
    }
    ::rmdir(target.c_str());
    return {};
}

base::Result<void> write_interface(const fs::path& configuration, const std::string& mark) {
    const fs::path directory = configuration / "ifaces";
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return record_error("make", directory, errno);
    return put(configuration, directory / mark,
               fmt::format("iface.iscsi_ifacename = {}\niface.transport_name = tcp\n", mark));
}

base::Result<void> remove_interface(const fs::path& configuration, const std::string& mark) {
    const fs::path path = configuration / "ifaces" / mark;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return record_error("remove", path, errno);
    return {};
}

}  // namespace safe::iscsi
