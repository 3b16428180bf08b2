// safectl header: what a person can do about the LUKS header of a volume. A header that is not the one on record is
// put on record, and one is written back, only when a key has opened it; being root is not enough.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/base/characters.hpp"
#include "reconciler/cli/people.hpp"
#include "reconciler/intent/requests.hpp"
#include "reconciler/members/header_care.hpp"

namespace safe::cli {
namespace {

using base::Error;
using base::Result;
using members::HeaderCare;
using members::HeaderClaim;
using members::SeenHeader;
using Json = nlohmann::ordered_json;

struct HeaderOptions {
    SpecOptions spec;
    std::string volume;
    std::string user;
    std::optional<int> password_fd;
    std::string file;
};

void declare_list(CLI::App& app, HeaderOptions& options) {
    app.add_option("volume", options.volume, "a volume of the spec")->option_text("VOLUME")->required();
    add_safe(app, options.spec);
}

void declare_vouched(CLI::App& app, HeaderOptions& options) {
    declare_list(app, options);
    app.add_option("--user", options.user,
                   "the member whose key opens it; not needed for another volume than the vault while that is mounted")
        ->option_text("NAME");
    add_password(app, options.password_fd);
}

void declare_restore(CLI::App& app, HeaderOptions& options) {
    declare_vouched(app, options);
    app.add_option("--from", options.file, "the backup; the best that is kept by default")->option_text("FILE");
}

void declare_backup(CLI::App& app, HeaderOptions& options) {
    declare_list(app, options);
    app.add_option("--out", options.file, "a new file, for root alone")->option_text("FILE")->required();
}

/// The safe's lock, and what is done under it.
class Desk {
 public:
    Desk(const HeaderOptions& options, const specs::SafeSpec& spec, const Surroundings& around)
        : options_(options),
          spec_(spec),
          builtin_(around.builtin),
          passwords_(options.password_fd, around.stop),
          setting_{spec, places_of(spec, options.spec), keys_} {}

    [[nodiscard]] Result<std::unique_ptr<HeaderCare>> care() const {
        return builtin_.make_header_care(setting_, options_.volume);
    }

    /// Shows what is claimed, has it vouched for, and carries it out. The safe's lock is let go while somebody types,
    /// who would else keep everybody from closing it; so the claim is read again, and must be the same.
    Result<std::string> vouch(const std::function<Result<std::unique_ptr<HeaderClaim>>(HeaderCare&)>& claim_of) {
        if (Result<void> forbidden = forbid_core_dumps(); !forbidden) return base::fail(forbidden.error());
        const Result<std::unique_ptr<HeaderCare>> care = this->care();
        if (!care) return base::fail(care.error());
        Result<People> people = People::at(setting_.places);
        if (!people) return base::fail(people.error());
        const Result<Shown> shown = show(**care, claim_of);
        if (!shown) return base::fail(shown.error());
        const Result<std::optional<base::Secret>> password = ask(shown->needs_key);
        if (!password) return base::fail(password.error());
        const Result<applying::LockFile> lock = take_lock();
        if (!lock) return base::fail(lock.error());
        if (Result<void> same = still_says(options_.spec, spec_); !same) return base::fail(same.error());
        const Result<std::unique_ptr<HeaderClaim>> claim = claim_of(**care);
        if (!claim) return base::fail(claim.error());
        const std::optional<members::VaultHeader>& needed = (*claim)->needs();
        if ((*claim)->told() != shown->told || needed.has_value() != shown->needs_key)
            return base::fail({"vouch for", "the header of " + options_.volume, "it has changed since it was shown",
                               "look again: safectl header list " + options_.volume, Error::Kind::refused});
        if (*password && needed)
            if (Result<void> proved = people->prove_on(**claim, *needed, options_.user, **password); !proved)
                return base::fail(proved.error());
        return (*claim)->carry_out();
    }

    Result<std::string> back_up() {
        const Result<std::unique_ptr<HeaderCare>> care = this->care();
        if (!care) return base::fail(care.error());
        if (Result<People> people = People::at(setting_.places); !people) return base::fail(people.error());
        const Result<applying::LockFile> lock = take_lock();
        if (!lock) return base::fail(lock.error());
        if (Result<void> kept = (*care)->back_up(options_.file); !kept) return base::fail(kept.error());
        return fmt::format("the header of {} is kept in {}; it opens with the passwords of today", options_.volume,
                           options_.file);
    }

 private:
    [[nodiscard]] Result<applying::LockFile> take_lock() const {
        return applying::LockFile::take(setting_.places.state_dir() / "lock");
    }

    void tell(const std::vector<std::string>& told) const {
        // In JSON there is one document on the output, at the end: this is for whoever types the password.
        const int stream = options_.spec.format == Format::text ? STDOUT_FILENO : STDERR_FILENO;
        if (stream == STDERR_FILENO && !passwords_.are_typed()) return;
        for (const std::string& sentence : told) say_on(stream, base::printable(sentence) + "\n");
    }

    struct Shown {
        std::vector<std::string> told;
        bool needs_key;
    };
    Result<Shown> show(HeaderCare& care,
                       const std::function<Result<std::unique_ptr<HeaderClaim>>(HeaderCare&)>& claim_of) const {
        const Result<applying::LockFile> lock = take_lock();
        if (!lock) return base::fail(lock.error());
        const Result<std::unique_ptr<HeaderClaim>> claim = claim_of(care);
        if (!claim) return base::fail(claim.error());
        tell((*claim)->told());
        return Shown{(*claim)->told(), (*claim)->needs().has_value()};
    }

    [[nodiscard]] Result<std::optional<base::Secret>> ask(bool needs_key) const {
        if (!needs_key) return std::nullopt;
        if (options_.user.empty())
            return base::fail({"prove a key on", "the header of " + options_.volume, "nobody's key is given",
                               "say whose: --user NAME", Error::Kind::refused});
        // Who left the spec may have a keyslot in an old header still.
        if (!spec_.users.empty())
            if (const auto known = intent::known_user(spec_, options_.user); !known) return base::fail(known.error());
        Result<base::Secret> password = passwords_.next("password of " + options_.user);
        if (!password) return base::fail(password.error());
        return *std::move(password);
    }

    const HeaderOptions& options_;
    const specs::SafeSpec& spec_;
    const Builtin& builtin_;
    const Passwords passwords_;
    const driver::KeyRing keys_;
    const driver::Setting setting_;
};

ExitCode report(const Result<std::string>& done, Format format) {
    if (!done) return report_error(done.error(), format);
    print_done(base::printable(*done), format);
    return success;
}

ExitCode accept(const HeaderOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    return report(Desk(options, *spec, around).vouch([](HeaderCare& care) { return care.to_accept(); }),
                  options.spec.format);
}

ExitCode restore(const HeaderOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    return report(Desk(options, *spec, around).vouch([&](HeaderCare& care) { return care.to_restore(options.file); }),
                  options.spec.format);
}

ExitCode back_up(const HeaderOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    return report(Desk(options, *spec, around).back_up(), options.spec.format);
}

void print_text(const std::vector<SeenHeader>& all) {
    for (const SeenHeader& seen : all) {
        say("{:<9} {}\n", seen.what, base::printable(seen.place.string()));
        say("          {}\n", base::printable(seen.verdict));
        if (!seen.sequence) continue;
        std::string members;
        for (const std::string& member : seen.members) members += (members.empty() ? "" : ", ") + member;
        if (seen.others > 0)
            members += fmt::format("{}{} that no member is named for", members.empty() ? "" : ", and ", seen.others);
        say("          sequence {}, UUID {}{}\n", *seen.sequence, base::printable(seen.uuid),
            members.empty() ? "" : "; keyslots: " + base::printable(members));
    }
}

void print_json(const std::string& volume, const std::vector<SeenHeader>& all) {
    Json headers = Json::array();
    for (const SeenHeader& seen : all) {
        Json one{{"what", seen.what}, {"place", seen.place.string()}, {"verdict", base::printable(seen.verdict)}};
        one["sequence"] = nullptr;
        if (seen.sequence) {
            one["sequence"] = *seen.sequence;
            one["uuid"] = base::printable(seen.uuid);
            one["members"] = Json::array();
            for (const std::string& member : seen.members) one["members"].push_back(base::printable(member));
            one["other_keyslots"] = seen.others;
        }
        headers.push_back(std::move(one));
    }
    const Json document{{"version", 1}, {"kind", "headers"}, {"volume", volume}, {"headers", std::move(headers)}};
    say_document(document);
}

ExitCode list_headers(const HeaderOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const Desk desk(options, *spec, around);
    const Result<std::unique_ptr<HeaderCare>> care = desk.care();
    if (!care) return report_error(care.error(), options.spec.format);
    const std::vector<SeenHeader> all = (*care)->list();
    options.spec.format == Format::json ? print_json(options.volume, all) : print_text(all);
    return success;
}

}  // namespace

void add_header(Menu& menu) {
    Menu below = menu.group("header", "LUKS headers of volumes: what is kept of them, and what is trusted.");
    below.add<HeaderOptions>("list", "Show the header on the device and what is kept of it.", declare_list,
                             list_headers);
    below.add<HeaderOptions>("accept", "Put a header that has changed on record, with a member's key.", declare_vouched,
                             accept);
    below.add<HeaderOptions>("backup", "Write the header on the device to a new file.", declare_backup, back_up);
    below.add<HeaderOptions>("restore", "Write a kept header back, with a member's key.", declare_restore, restore);
}

}  // namespace safe::cli
