// The members and their directory: each only with the other, names that are free, keys that are whole.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "specs/judgement.hpp"
#include "specs/ssh_key.hpp"

namespace safe::specs {
namespace {

/// A LUKS2 header has 32 tokens: the vault's own, one a member, and one kept free to change passwords through.
constexpr std::size_t most_members = 30;

/// Accounts of the systems that members log in to, and the names of our groups. What a system knows already, an account
/// of the directory either cannot become or would take over.
constexpr std::array<std::string_view, 38> reserved{
    "root",        "daemon",  "bin",        "sys",      "sync",     "games",   "man",   "lp",
    "mail",        "news",    "uucp",       "proxy",    "www-data", "backup",  "list",  "irc",
    "gnats",       "nobody",  "nogroup",    "admin",    "adm",      "sudo",    "wheel", "users",
    "super-users", "members", "messagebus", "sshd",     "ntp",      "dnsmasq", "tss",   "libvirt-qemu",
    "libvirt",     "kvm",     "nslcd",      "openldap", "statd",    "debian"};

std::string why_reserved(std::string_view name) {
    if (std::ranges::find(reserved, name) != reserved.end()) return "a system knows that name already";
    if (name.starts_with("systemd-")) return "names that begin with systemd- are systemd's";
    const bool is_number = name.find_first_not_of("0123456789") == std::string_view::npos;
    return is_number ? "a system would take it for the number of an account" : "";
}

/// Public keys, and whose each is.
using KeyOwners = std::map<std::string, const UserSpec*, std::less<>>;

void judge_keys(Judgement& judgement, const UserSpec& user, KeyOwners& owners) {
    for (const Located<std::string>& written : user.ssh_keys) {
        const auto key = split_ssh_key(*written);
        if (!key) continue;  // the type of the list has said so
        if (const auto fault = ssh_key_fault(*key)) {
            judgement.diagnostics.error(written.at, fmt::format("{}: the SSH key {}", user.name, fault->what),
                                        fault->help);
            continue;
        }
        const auto [owner, is_first] = owners.emplace(key->base64, &user);
        if (is_first) continue;
        judgement.diagnostics.error(written.at,
                                    owner->second == &user
                                        ? fmt::format("{} has this SSH key twice", user.name)
                                        : fmt::format("{} has the same SSH key as {}", user.name, owner->second->name),
                                    "a key tells one person from another: give each their own");
    }
}

void judge_users(Judgement& judgement) {
    const auto& users = judgement.spec.users;
    KeyOwners owners;
    for (const UserSpec& user : users) {
        const std::string reason = why_reserved(user.name);
        if (!reason.empty()) {
            judgement.diagnostics.error(user.at, fmt::format("a member cannot be called {}: {}", user.name, reason),
                                        "give the account another name");
        }
        judge_keys(judgement, user, owners);
    }
    if (users.size() > most_members) {
        judgement.diagnostics.error(
            users[most_members].at,
            fmt::format("there are {} members, and the vault has room for the keys of {}", users.size(), most_members),
            "remove some, or make two safes of it");
    }
    const bool lacks_super = !users.empty() && judgement.is_whole("users") &&
                             std::ranges::none_of(users, [](const UserSpec& user) { return *user.super; });
    if (lacks_super) {
        judgement.diagnostics.error(users.front().at, "none of the members is a super-user",
                                    "write super: true at one; only super-users lift a lock");
    }
}

/// Members, their directory and the vault that they hold keys to: all or none.
void judge_togetherness(Judgement& judgement) {
    const SafeSpec& spec = judgement.spec;
    const bool has_users = !spec.users.empty() || !judgement.is_whole("users");
    if (spec.directory && !has_users) {
        judgement.diagnostics.error(spec.directory->at, "there is a directory, but there are no users",
                                    "write users:, or remove the directory");
    }
    if (spec.users.empty()) return;
    const Position& at = spec.users.front().at;
    if (!spec.directory && judgement.is_sound("directory")) {
        judgement.diagnostics.error(at, "there are users, but no directory for their accounts", "write directory:");
    }
    if (spec.volumes.empty() && judgement.is_whole("volumes")) {
        judgement.diagnostics.error(at, "there are users, but no vault for their keys",
                                    "write volumes: with one of role vault");
    }
}

/// The host of a URL that has one.
std::string_view host_of(std::string_view url) {
    const std::size_t start = url.find("://") + 3;
    return url.substr(start, url.find_first_of(":/", start) - start);
}

void judge_directory(Judgement& judgement, const DirectorySpec& directory) {
    if (!judgement.is_sound("directory.ldap")) return;
    const Located<std::string>& url = directory.ldap;
    const bool is_local = url->starts_with("ldapi:");
    if (is_local) {
        if (directory.ca) {
            judgement.diagnostics.error(directory.ca->at, "directory.ca has no use: ldapi:// stays on this machine",
                                        "remove it, or write an ldaps:// URL");
        }
        return;
    }
    if (!directory.ca && judgement.is_sound("directory.ca")) {
        judgement.diagnostics.error(url.at, "directory has no ca, so that nobody could tell the server from another",
                                    "write ca: and the file of the certificates that sign the server's");
    }
    if (!directory.bind && judgement.is_sound("directory.bind")) {
        judgement.diagnostics.error(url.at, "directory has no bind, so that nothing could be written to it",
                                    "write bind: { dn: …, password: { file: … } }");
    }
    const auto address = parse_ipv4(host_of(*url));
    const VmSpec* const vm = address ? judgement.workspace_in(Cidr{*address, 32}) : nullptr;
    if (vm != nullptr) {
        judgement.diagnostics.error(
            url.at,
            fmt::format("the directory is {}, a workspace VM, which does not run while the safe is closed", vm->name),
            "members log in then: make it a service VM");
    }
}

}  // namespace

void judge_people(Judgement& judgement) {
    judge_togetherness(judgement);
    judge_users(judgement);
    if (judgement.spec.directory && judgement.is_sound("directory"))
        judge_directory(judgement, *judgement.spec.directory);
}

}  // namespace safe::specs
