#include "specs/fields_people.hpp"

#include "specs/field_makers.hpp"

namespace safe::specs {
namespace {

Fields<BindSpec> bind_fields() {
    return {
        required({"dn", "The entry that we log in as.", "cn=admin,dc=atlas,dc=example,dc=org"}, &BindSpec::dn,
                 types::distinguished_name()),
        secret({"password", "Its password.", "{ file: /etc/safe/atlas/ldap }"}, &BindSpec::password),
    };
}

FieldInfo way(Key key, Scalar<std::string> type) {
    return std::move(key).info(FieldInfo::Presence::optional, FieldInfo::Shape::scalar, std::move(type.info));
}

}  // namespace

Fields<DirectorySpec> directory_fields() {
    return {
        required({"ldap", "The server."}, &DirectorySpec::ldap, types::ldap_url()),
        required({"base", "The entry below which the safe's accounts and groups lie."}, &DirectorySpec::base,
                 types::distinguished_name()),
        part({"bind",
              "How we log in. Required except with ldapi://, where left out the server asks the kernel who we "
              "are (SASL EXTERNAL)."},
             &DirectorySpec::bind, bind_fields()),
        optional({"ca",
                  "The certificates, in PEM, by one of which the server's must be signed. Required except with "
                  "ldapi://, where it has no use.",
                  "/etc/safe/atlas/ca.pem"},
                 &DirectorySpec::ca, types::file_path()),
    };
}

Fields<UserSpec> user_fields() {
    return {
        required({"name", "The member's name in full."}, &UserSpec::full_name, types::full_name()),
        optional({"mail", "The member's mail address."}, &UserSpec::mail, types::mail()),
        defaulted({"super", "Whether the member is a super-user, who may lock and unlock the safe.", "true"},
                  &UserSpec::super, types::boolean(), "false"),
        optional_list({"ssh-keys", "The public keys with which the member logs in to VMs.",
                       "[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAB… alice@laptop]"},
                      &UserSpec::ssh_keys, types::ssh_key()),
    };
}

std::vector<FieldInfo> secret_ways() {
    return {way({"file", "A file that belongs to root and has mode 0600."}, types::secret_file()),
            way({"credential", "A credential that systemd passes to the service."}, types::credential())};
}

std::optional<Located<SecretRef>> read_secret_reference(const Entry& entry, const std::string& path, Reader& reader) {
    constexpr const char* help = "write { file: /etc/safe/NAME } or { credential: NAME }";
    const Node& node = entry.value;
    if (node.kind == Node::Kind::scalar) {
        reader.fail(node.at, path, "a secret never stands in the spec itself, only where it is to be had", help);
        return std::nullopt;
    }
    if (node.kind != Node::Kind::map || node.entries.size() != 1) {
        reader.fail(node.at, path, "exactly one place where the secret is to be had is wanted here", help);
        return std::nullopt;
    }
    const Entry& way = node.entries.front();
    const bool is_file = way.key == "file";
    if (!is_file && way.key != "credential") {
        reader.fail(way.at, path, "a secret is had from a file or as a credential, and this names neither", help);
        return std::nullopt;
    }
    const Scalar<std::string> type = is_file ? types::secret_file() : types::credential();
    const bool is_text = way.value.kind == Node::Kind::scalar && core_type(way.value) == CoreType::text;
    const auto name = is_text ? type.parse(way.value.text, "") : Parsed<std::string>(std::unexpected(type.info.name));
    if (!name) {
        reader.fail(way.value.at, Reader::below(path, way.key), "what is written here is not " + type.info.name,
                    "write " + type.info.form);
        return std::nullopt;
    }
    return Located<SecretRef>{{is_file ? SecretRef::Kind::file : SecretRef::Kind::credential, *name}, node.at};
}

}  // namespace safe::specs
