// A slapd of the test's own: on a local socket and on loopback (ldap:// with StartTLS, ldaps://), with a certificate of
// an authority of its own, the schema and access rules of examples/directory loaded the way an operator loads them.
// Ends with the test, however that ends. Needs root, because the rules know root on the local socket.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "plugins/ldap/connection.hpp"
#include "plugins/ldap/layout.hpp"
#include "reconciler/base/process.hpp"
#include "specs/spec.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::test {

/// Throws when it ends with anything but 0.
inline std::string must_run(const std::vector<std::string>& arguments) {
    const base::Result<base::Finished> finished = base::run_process(arguments);
    if (!finished) throw std::runtime_error(to_text(finished.error()));
    if (finished->status == 0) return finished->output;
    std::string line;
    for (const std::string& argument : arguments) line += argument + " ";
    throw std::runtime_error(line + ": " + finished->errors + finished->output);
}

/// A TCP port of loopback that nobody listens on.
inline int free_port() {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::runtime_error("no port");
    ::close(descriptor);
    return ntohs(address.sin_port);
}

class PrivateSlapd {
 public:
    static constexpr const char* base = "dc=atlas,dc=example,dc=org";
    static constexpr const char* admin = "cn=admin,dc=atlas,dc=example,dc=org";
    static constexpr const char* admin_password = "correct horse of the admin";

    static std::optional<std::string> impossible() {
        if (::geteuid() != 0) return "the access rules know root on the local socket";
        for (const char* program : {"/usr/sbin/slapd", "/usr/sbin/slapadd", "/usr/bin/ldapadd", "/usr/bin/openssl"})
            if (::access(program, X_OK) != 0) return std::string(program) + " is not installed";
        return std::nullopt;
    }

    enum class Tls { on, off };

    explicit PrivateSlapd(Tls tls = Tls::on) : tls_(tls) {
        namespace fs = std::filesystem;
        fs::create_directory(directory() / "config");
        fs::create_directory(directory() / "data");
        make_certificates();
        write_secret("bind", admin_password);
        write("config.ldif", configuration());
        must_run({"slapadd", "-n", "0", "-F", (directory() / "config").string(), "-l",
                  (directory() / "config.ldif").string()});
        start();
        const std::string examples = std::string(SAFE_SOURCE_DIR) + "/examples/directory/";
        for (const char* file : {"modules.ldif", "ssh-keys.ldif", "safe.ldif"})
            must_run({"ldapadd", "-Q", "-Y", "EXTERNAL", "-H", local_uri(), "-f", examples + file});
        must_run({"ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", local_uri(), "-f", examples + "access.ldif"});
    }
    PrivateSlapd(const PrivateSlapd&) = delete;
    PrivateSlapd& operator=(const PrivateSlapd&) = delete;
    PrivateSlapd(PrivateSlapd&&) = delete;
    PrivateSlapd& operator=(PrivateSlapd&&) = delete;
    ~PrivateSlapd() { stop(); }

    void start() {
        const std::string listeners = local_uri() + " " + plain_uri() + (tls_ == Tls::on ? " " + tls_uri() : "");
        process_ = ::fork();
        if (process_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const int log = ::open((directory() / "slapd.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            ::dup2(log, STDERR_FILENO);
            ::dup2(log, STDOUT_FILENO);
            ::execl("/usr/sbin/slapd", "slapd", "-d", debug_.c_str(), "-F", (directory() / "config").c_str(), "-h",
                    listeners.c_str(), nullptr);
            ::_exit(127);
        }
        for (int tries = 0; tries < 3000; ++tries) {
            const auto asked = base::run_process({"ldapwhoami", "-Q", "-Y", "EXTERNAL", "-H", local_uri()});
            if (asked && asked->status == 0) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        throw std::runtime_error("slapd does not answer; see " + (directory() / "slapd.log").string());
    }

    void stop() {
        if (process_ <= 0) return;
        ::kill(process_, SIGTERM);
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
    }

    void freeze() const {
        ::kill(process_, SIGSTOP);
        // Each thread stops when it next looks.
        for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process_) + "/task"))
            for (char state = 'R'; state != 'T';) {
                std::ifstream stat(thread.path() / "stat");
                std::string line;
                std::getline(stat, line);
                state = line.at(line.rfind(')') + 2);
            }
    }
    void thaw() const { ::kill(process_, SIGCONT); }
    /// From the next start on; "stats,packets" and the like, or "-1" for everything.
    void log_at(std::string level) { debug_ = std::move(level); }

    [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }
    [[nodiscard]] std::string local_uri() const {
        std::string path;
        for (const char c : (directory() / "socket").string())
            path += c == '/' ? std::string("%2F") : std::string(1, c);
        return "ldapi://" + path;
    }
    [[nodiscard]] std::string socket() const { return (directory() / "socket").string(); }
    [[nodiscard]] std::string plain_uri() const { return "ldap://127.0.0.1:" + std::to_string(plain_port_); }
    [[nodiscard]] std::string tls_uri() const { return "ldaps://127.0.0.1:" + std::to_string(tls_port_); }
    [[nodiscard]] int plain_port() const { return plain_port_; }
    [[nodiscard]] int tls_port() const { return tls_port_; }
    [[nodiscard]] std::filesystem::path ca() const { return directory() / "ca.pem"; }
    [[nodiscard]] std::filesystem::path other_ca() const { return directory() / "other-ca.pem"; }

    [[nodiscard]] ldap::Account bind() const {
        return {admin, {specs::SecretRef::Kind::file, (directory() / "bind").string()}};
    }
    [[nodiscard]] ldap::Options local() const { return {.uri = local_uri(), .ca = std::nullopt, .bind = std::nullopt}; }
    [[nodiscard]] ldap::Options over(std::string uri) const {
        return {.uri = std::move(uri), .ca = ca(), .bind = bind()};
    }

    /// What ldapsearch, which shares no code of ours, shows root on the local socket; long lines unfolded.
    [[nodiscard]] std::string ldapsearch(const std::string& below, const std::string& filter,
                                         const std::vector<std::string>& attributes = {}) const {
        std::vector<std::string> line{"ldapsearch", "-Q", "-LLL",      "-o", "ldif-wrap=no", "-Y",
                                      "EXTERNAL",   "-H", local_uri(), "-b", below,          filter};
        line.insert(line.end(), attributes.begin(), attributes.end());
        return must_run(line);
    }
    /// Everything that is in the directory, as the database has it: passwords and times of change too.
    [[nodiscard]] std::string dump() const {
        return must_run({"slapcat", "-o", "ldif-wrap=no", "-F", (directory() / "config").string(), "-n", "1"});
    }
    void ldapmodify(const std::string& ldif) const {
        const std::filesystem::path file = directory() / "change.ldif";
        std::ofstream(file) << ldif;
        must_run({"ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", local_uri(), "-f", file.string()});
    }
    /// Whether a plain ldapwhoami, with the password in a file, gets in.
    [[nodiscard]] bool takes(const std::string& name, const std::string& password) const {
        write_secret("try", password);
        const auto asked = base::run_process(
            {"ldapwhoami", "-x", "-H", local_uri(), "-D", name, "-y", (directory() / "try").string()});
        return asked && asked->status == 0;
    }

 private:
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(directory() / name) << content;
    }
    void write_secret(const std::string& name, const std::string& content) const {
        write(name, content);
        std::filesystem::permissions(directory() / name, std::filesystem::perms(0600));
    }

    void make_certificates() const {
        const auto path = [this](const std::string& name) { return (directory() / name).string(); };
        for (const std::string ca : {"ca", "other-ca"})
            must_run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-days", "2", "-subj", "/CN=" + ca, "-keyout", path(ca + ".key"), "-out", path(ca + ".pem")});
        write("names", "subjectAltName=IP:127.0.0.1\n");
        must_run({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                  "/CN=directory", "-keyout", path("server.key"), "-out", path("server.csr")});
        must_run({"openssl", "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                  "-CAcreateserial", "-days", "2", "-extfile", path("names"), "-out", path("server.pem")});
    }

    /// What Debian's package sets up, in a directory of the test's.
    [[nodiscard]] std::string configuration() const {
        const std::string at = directory().string();
        std::string text = "dn: cn=config\nobjectClass: olcGlobal\ncn: config\n";
        if (tls_ == Tls::on)
            text += "olcTLSCACertificateFile: " + at + "/ca.pem\nolcTLSCertificateFile: " + at +
                    "/server.pem\nolcTLSCertificateKeyFile: " + at + "/server.key\n";
        text += "\n";
        text +=
            "dn: cn=module{0},cn=config\nobjectClass: olcModuleList\ncn: module{0}\n"
            "olcModulePath: /usr/lib/ldap\nolcModuleLoad: back_mdb\n\n";
        text += "dn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n";
        for (const char* name : {"core", "cosine", "nis", "inetorgperson"})
            text += "include: file:///etc/ldap/schema/" + std::string(name) + ".ldif\n\n";
        text +=
            "dn: olcDatabase={0}config,cn=config\nobjectClass: olcDatabaseConfig\nolcDatabase: {0}config\n"
            "olcAccess: to * by dn.exact=gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth manage by * none\n\n";
        text +=
            "dn: olcDatabase={1}mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\n"
            "olcDatabase: {1}mdb\nolcSuffix: " +
            std::string(base) + "\nolcRootDN: " + admin + "\nolcRootPW: " + admin_password + "\nolcDbDirectory: " + at +
            "/data\nolcDbMaxSize: 1073741824\nolcDbIndex: objectClass,uid,cn eq\n"
            "olcDbNoSync: TRUE\n";
        return text;
    }

    testing::TemporaryDirectory directory_;
    Tls tls_;
    int plain_port_ = free_port();
    int tls_port_ = free_port();
    pid_t process_ = -1;
    std::string debug_ = "0";
};

/// A safe whose members are in such a directory.
inline specs::SafeSpec safe_with_directory() {
    specs::SafeSpec spec;
    spec.safe.value = "atlas";
    spec.directory = specs::DirectorySpec{};
    spec.directory->base.value = PrivateSlapd::base;
    return spec;
}

}  // namespace safe::test
