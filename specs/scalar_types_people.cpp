// The types of what describes the directory and people, and of what is named for good.
#include <algorithm>
#include <filesystem>

#include "specs/scalar_makers.hpp"
#include "specs/ssh_key.hpp"

namespace safe::specs::types {
namespace {

/// RFC 4514 section 3, without its empty values: so that what is spelled out is what is meant.
std::string distinguished_name_pattern() {
    const std::string type = R"((?:[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+))";
    const std::string pair = R"(\\(?:[ "#=+,;<>\\]|[0-9A-Fa-f]{2}))";
    const std::string never = R"(\x00-\x1f\x7f"+,;<>\\)";
    const std::string first = fmt::format("(?:[^ #{}]|{})", never, pair);
    const std::string inner = fmt::format("(?:[^{}]|{})", never, pair);
    const std::string last = fmt::format("(?:[^ {}]|{})", never, pair);
    const std::string value = fmt::format("(?:#(?:[0-9A-Fa-f]{{2}})+|{}(?:{}*{})?)", first, inner, last);
    const std::string part = fmt::format(R"({}={}(?:\+{}={})*)", type, value, type, value);
    return fmt::format("^{}(?:,{})*$", part, part);
}

}  // namespace

Scalar<std::string> ldap_url() {
    const std::string host = "[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?";
    const std::string port = decimal_pattern(1, 65535);
    return patterned(
        {.name = "the URL of a directory server",
         .form = "ldaps://HOST, ldap://HOST (StartTLS is then insisted on) or ldapi://%2Fpath%2Fof%2Fsocket; "
                 "a port may follow the host, and nothing else",
         .pattern = fmt::format("^(?:ldaps?://{}(?::{})?/?|ldapi://(?:%2[Ff][A-Za-z0-9._-]+)*/?)$", host, port),
         .longest = 255,
         .valid = {"ldaps://10.77.0.3", "ldap://directory.atlas.example:389/", "ldapi:///", "ldapi://",
                   "ldapi://%2Frun%2Fslapd%2Fldapi"},
         .invalid = {"", "10.77.0.3", "ldaps://", "ldaps:///", "http://10.77.0.3", "LDAPS://10.77.0.3",
                     "ldaps://10.77.0.3/dc=example", "ldaps://10.77.0.3/?uid", "ldaps://10.77.0.3?x",
                     "ldaps://10.77.0.3:0", "ldaps://10.77.0.3:65536", "ldaps://user@10.77.0.3", "ldaps://a ldaps://b",
                     "ldaps://a,ldaps://b", "cldap://10.77.0.3", "ldapi:///run/slapd/ldapi",
                     "ldaps://" + std::string(255, 'a')}});
}

Scalar<std::string> distinguished_name() {
    return patterned({.name = "a distinguished name",
                      .form = "TYPE=VALUE,TYPE=VALUE as in RFC 4514, without spaces around commas and equals signs: "
                              "dc=atlas,dc=example,dc=org",
                      .pattern = distinguished_name_pattern(),
                      .longest = 500,
                      .valid = {"dc=atlas,dc=example,dc=org", "cn=admin,dc=atlas", "2.5.4.3=a", R"(cn=Martin\, Alice)",
                                R"(cn=a+sn=b,o=x)", "cn=#04024869", R"(cn=\20a\ )", "cn=Élise", "cn=a b", "cn=a=b"},
                      .invalid = {"",
                                  "atlas",
                                  "dc=",
                                  "=atlas",
                                  "dc=atlas,",
                                  ",dc=atlas",
                                  "dc=atlas, dc=example",
                                  "dc=atlas;dc=example",
                                  "dc=a\nb",
                                  R"(dc=a\)",
                                  R"(dc=a\z)",
                                  "dc=\"a\"",
                                  "dc=a ",
                                  "dc= a",
                                  "dc=#a",
                                  "dc=#0g",
                                  "1.=a",
                                  "1dc=a",
                                  "dc=a+",
                                  "dc=<a>",
                                  "d_c=a",
                                  "dc=" + std::string(500, 'a')}});
}

Scalar<std::string> full_name() {
    return patterned({.name = "a person's name",
                      .form = "at most 200 characters, none of them a control character or a colon, no space at either "
                              "end",
                      .pattern = R"(^[^ :\x00-\x1f\x7f](?:[^:\x00-\x1f\x7f]*[^ :\x00-\x1f\x7f])?$)",
                      .longest = 200,
                      .valid = {"Alice Martin", "É", "O'Neill, Bob (jr.)"},
                      .invalid = {"", " ", " Alice", "Alice ", "a\tb", "a\nb", "a:b", std::string(201, 'a')}});
}

Scalar<std::string> mail() {
    const std::string part = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
    return patterned({.name = "a mail address",
                      .form = "one such as alice@example.org",
                      .pattern = fmt::format(R"(^[A-Za-z0-9._%+'=/-]+@{}(?:\.{})*$)", part, part),
                      .longest = 254,
                      .valid = {"alice@example.org", "a.b+c@localhost"},
                      .invalid = {"", "alice", "@example.org", "alice@", "alice@example.", "alice@-a",
                                  "a b@example.org", "alice@example.org,bob@example.org", "Alice <alice@example.org>",
                                  std::string(250, 'a') + "@example.org"}});
}

Scalar<std::string> ssh_key() {
    const std::string key = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    ScalarInfo info{.name = "an SSH public key",
                    .form = "a line of a *.pub file, its type, base64 and perhaps a comment; no options",
                    .pattern = std::string(ssh_key_pattern),
                    .longest = ssh_key_longest,
                    .valid = {"ssh-ed25519 " + key, "ssh-ed25519 " + key + " alice@laptop, new",
                              "sk-ssh-ed25519@openssh.com " + key, "ssh-rsa AAAA==", "ecdsa-sha2-nistp256 AAAA"},
                    .invalid = {"", key, "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519  " + key, "ssh-dss " + key,
                                "restrict ssh-ed25519 " + key, "command=\"x\" ssh-ed25519 " + key,
                                " ssh-ed25519 " + key, "ssh-ed25519 " + key + "\nssh-ed25519 " + key,
                                "ssh-ed25519 A=AA", "ssh-ed25519 AAAA===", "ssh-ed25519 a!b",
                                "ssh-ed25519 " + key + "\ta", "ssh-ed25519 " + std::string(ssh_key_longest, 'A')}};
    const auto parse = [form = info.form](std::string_view text, const std::string&) -> Parsed<std::string> {
        if (split_ssh_key(text)) return std::string(text);
        return std::unexpected("an SSH public key; write " + form);
    };
    return {std::move(info), parse};
}

Scalar<std::string> secret_file() {
    ScalarInfo info{.name = "the file of a secret",
                    .form = "an absolute path of root's own file with mode 0600",
                    .pattern = R"(^/[^\x00-\x1f\x7f]{1,1023}$)",
                    .longest = 1024,
                    .valid = {"/etc/safe/atlas/chap"},
                    .invalid = {"", "/", "chap", "./chap", "/etc/a\nb", "/" + std::string(1024, 'a')}};
    const auto parse = [form = info.form](std::string_view text, const std::string&) -> Parsed<std::string> {
        if (is_path_text(text) && text.size() > 1 && text.front() == '/') {
            return std::filesystem::path(text).lexically_normal().string();
        }
        return std::unexpected("a file that a secret may lie in; write " + form);
    };
    return {std::move(info), parse};
}

Scalar<std::string> credential() {
    return patterned({.name = "the name of a credential",
                      .form = "the name of a systemd credential: letters, digits, dots, dashes and underscores",
                      .pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$",
                      .longest = 255,
                      .valid = {"chap", "atlas.ldap-1"},
                      .invalid = {"", ".", "..", "a/b", "a b", "-a", "é", std::string(256, 'a')}});
}

Scalar<std::string> orphan() {
    return patterned({.name = "something that can be removed",
                      .form = "vm/NAME or container/NAME (the LUKS container of a volume)",
                      .pattern = fmt::format("^(?:vm|container)/{}$", label),
                      .longest = 30,
                      .valid = {"vm/old-forge", "container/old-data"},
                      .invalid = {"", "old-forge", "vm/", "vm/A", "vm/a/b", "disk/a", "network/atlas", "volume/a",
                                  "vm/a23456789012345678901"}});
}

Scalar<std::string> uuid() {
    const std::string example = "3b9c1f0e-5b0a-4d5c-8a53-0c6a1c2f9e7d";
    ScalarInfo info{.name = "a UUID",
                    .form = "8, 4, 4, 4 and 12 hexadecimal digits with dashes between",
                    .pattern = "^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
                    .longest = 36,
                    .valid = {example, "3B9C1F0E-5B0A-4D5C-8A53-0C6A1C2F9E7D"},
                    .invalid = {"", example + "0", example.substr(1), "{" + example + "}", "x" + example.substr(1)}};
    const auto parse = [is_uuid = patterned(info).parse](std::string_view text,
                                                         const std::string& directory) -> Parsed<std::string> {
        auto written = is_uuid(text, directory);
        if (!written) return written;
        for (char& c : *written) {
            if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
        }
        return written;
    };
    return {std::move(info), parse};
}

}  // namespace safe::specs::types
