// A machine of files: a small tree in the form of procfs and sysfs, and answers of programs. It begins as a hypervisor
// on which safe atlas is closed and clean; each test adds what it is about. A regular file below /dev that says "block
// 8:16" stands for that device, and everything belongs to root unless a test says otherwise.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "reconciler/verify/verify.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::verify::test {

inline constexpr const char* vault_uuid = "11111111-2222-3333-4444-555555555555";
inline constexpr const char* data_uuid = "99999999-8888-7777-6666-555555555555";

/// safe atlas: a vault in /srv/vault.img, data over iSCSI, disks on /dev/sdz; gateway serves, desktop works.
[[nodiscard]] specs::SafeSpec atlas_spec(const std::string& suspend = "disk");

class FakeHost {
 public:
    FakeHost();

    void write(const std::string& path, std::string_view text) const;
    void link(const std::string& path, const std::string& target) const;
    void folder(const std::string& path) const;
    void remove(const std::string& path) const;
    void mode(const std::string& path, unsigned mode) const;

    void process(int id, const std::string& name, const std::vector<std::string>& arguments,
                 const std::string& space = "mnt:[1]", const std::string& mountinfo = "") const;
    void disk(const std::string& name, const std::string& number) const;
    void loop(const std::string& name, const std::string& number, const std::string& file) const;
    void mapping(const std::string& device, const std::string& number, const std::string& name, const std::string& uuid,
                 const std::string& under) const;
    void session(const std::string& name, const std::string& target, const std::string& portal, int lun,
                 const std::string& disk) const;
    /// A VM's own port, which belongs to that bridge.
    void port(const std::string& vm, const std::string& bridge = "br-atlas") const;
    /// What `program arguments` prints when it succeeds.
    void answers(const std::string& command, const std::string& output, int status = 0);
    /// A rule of the safe's table, as nft lists its expression.
    void rule(const std::string& chain, const std::string& comment, const std::string& expression);
    /// Before all that are there.
    void first_rule(const std::string& chain, const std::string& comment, const std::string& expression);
    /// Those that the driver makes of a spec, and no others.
    void compiled_rules(const std::string& chain, const specs::SafeSpec& spec);
    /// The rule of that name is no more.
    void drop_rule(const std::string& chain, const std::string& comment);
    /// As they are listed.
    [[nodiscard]] std::vector<nlohmann::json> rules(const std::string& chain) const;
    void no_rules(const std::string& chain) { rules_[chain] = nlohmann::json::array(); }
    void no_table() { table_ = false; }

    [[nodiscard]] System system() const;

    std::map<std::string, unsigned> owners;              // other than root
    std::map<std::string, DeviceNumber> filesystems;     // what lies below a path, on another than the root's
    std::set<std::string> forbidden;                     // paths whose status cannot be had
    std::function<void(const std::string&)> before_run;  // something happens meanwhile

 private:
    [[nodiscard]] base::Result<base::Finished> run(const std::vector<std::string>& arguments) const;
    [[nodiscard]] std::optional<std::string> list_firewall(const std::string& command) const;
    [[nodiscard]] Seen<FileFacts> status(const std::string& path, bool follow) const;

    testing::TemporaryDirectory root_;
    std::map<std::string, base::Finished> programs_;
    std::map<std::string, std::string> hooks_;
    std::map<std::string, nlohmann::json> rules_;
    bool table_ = true;
};

/// Lines that are not ok, as "verdict subject: found".
[[nodiscard]] std::vector<std::string> complaints(const Report& report);

}  // namespace safe::verify::test
