// safectl open: a member proves their key and is inside; the safe converges to *open* with that key. What cannot be
// opened is closed again before the command ends, an interrupted opening too, unless others are inside.
#include <fmt/format.h>

#include "reconciler/applying/opening.hpp"
#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/people.hpp"
#include "reconciler/cli/user.hpp"
#include "reconciler/intent/requests.hpp"
#include "specs/scalar_types.hpp"

namespace safe::cli {
namespace {

using base::Error;
using base::Result;

struct OpenOptions {
    SpecOptions spec;
    std::string user;  // empty: nobody's key
    std::optional<int> password_fd;
    std::string length = "8h";
    bool now = false;
};

void declare(CLI::App& app, OpenOptions& options) {
    add_safe(app, options.spec);
    app.add_option("--user", options.user, "whose key; the password is asked for")->option_text("NAME");
    add_password(app, options.password_fd);
    app.add_flag("--now", options.now, "although it was closed a moment ago");
    app.add_option("--for", options.length, "how long to stay inside: 90m, 8h, 2d (8h)")->option_text("TIME");
}

/// Judged before anybody is asked for a password.
Result<std::string> who_opens(const OpenOptions& options, const specs::SafeSpec& spec) {
    if (spec.vault() == nullptr) {
        if (options.user.empty() && !options.password_fd) return std::string(intent::without_key);
        return base::fail({"use a key for safe", *spec.safe, "it has no vault: no key opens anything in it",
                           "leave --user and --password-fd out", Error::Kind::refused});
    }
    if (options.user.empty())
        return base::fail({"open safe", *spec.safe, "it has a vault, and nobody's key is given",
                           "say whose: --user NAME", Error::Kind::refused});
    if (spec.users.empty()) {  // whoever gives the vault its first key: as they will be named under users:
        const auto name = specs::types::name().parse(options.user, "");
        if (name) return *name;
        return base::fail(
            {"use", "the user " + options.user, name.error(), "say --user with such a name", Error::Kind::refused});
    }
    const Result<const specs::UserSpec*> known = intent::known_user(spec, options.user);
    return known ? Result<std::string>(options.user) : base::fail(known.error());
}

class Opening {
 public:
    Opening(const specs::SafeSpec& spec, const OpenOptions& options, const Surroundings& around)
        : spec_(spec), options_(options), around_(around), places_(places_of(spec, options.spec)) {}

    Result<model::Report> run() {
        const Result<std::string> user = who_opens(options_, spec_);
        if (!user) return base::fail(user.error());
        const Result<std::chrono::seconds> length = intent::parse_length(options_.length);
        if (!length) return base::fail(length.error());
        Result<People> people = People::at(places_);
        if (!people) return base::fail(people.error());
        if (Result<void> may = judge(*people, *user); !may) return base::fail(may.error());
        // Without the safe's lock: whoever sits at a prompt keeps nobody from closing or locking it meanwhile.
        if (Result<void> let_in = log_in(*people, *user); !let_in) return base::fail(let_in.error());
        Result<Convergence> convergence = Convergence::begin(spec_, places_, keys_, around_);
        if (!convergence) return base::fail(convergence.error());
        const Result<intent::Now> now = intent::SystemClock().now();
        if (!now) return base::fail(now.error());
        if (Result<void> same = still_says(options_.spec, spec_); !same) return base::fail(same.error());
        if (Result<void> still = judge(*people, *user); !still) return base::fail(still.error());
        if (Result<void> known = remember(*people, *user, *now); !known) return base::fail(known.error());
        if (Result<void> begun = people->store().begin_local(*user, *length, *now); !begun)
            return base::fail(begun.error());
        return open_or_close(*convergence, *people, *user);
    }

 private:
    /// By what people want now.
    Result<void> judge(People& people, const std::string& user) {
        const Result<intent::Snapshot> intent = people.store().snapshot();
        if (!intent) return base::fail(intent.error());
        const Result<intent::Now> now = intent::SystemClock().now();
        if (!now) return base::fail(now.error());
        return intent::may_open(spec_, *intent, user, *now, options_.now);
    }

    /// The session that they have already, which a failing opening does not take from them.
    Result<void> remember(People& people, const std::string& user, const intent::Now& now) {
        const Result<intent::Snapshot> intent = people.store().snapshot();
        if (!intent) return base::fail(intent.error());
        for (const intent::Session& session : intent->sessions)
            if (session.source == intent::local_source && session.user == user && is_live(session, now))
                former_ = session;
        return {};
    }

    Result<void> log_in(People& people, const std::string& user) {
        if (spec_.vault() == nullptr) return {};
        Result<driver::MemberKey> key =
            people.log_in({spec_, places_, keys_}, user, {options_.password_fd, around_.stop}, around_.builtin);
        if (!key) return base::fail(key.error());
        keys_.put(*std::move(key));
        return {};
    }

    /// Nobody stays inside a safe that did not open, and what people have said meanwhile (a lock, a close) wins. What
    /// has failed is told before it is closed again, by the report of the first run.
    Result<model::Report> open_or_close(Convergence& convergence, People& people, const std::string& user) {
        const Format format = options_.spec.format;
        Result<intent::Effective> effective = effective_of(spec_, places_);
        if (!effective) return base::fail(effective.error());
        if (effective->mode != model::Mode::open) return overruled(*effective);
        const auto still = [&]() -> Result<void> {
            if (Result<void> same = still_says(options_.spec, spec_); !same) return same;
            const Result<intent::Effective> now = effective_of(spec_, places_);
            if (!now) return base::fail(now.error());
            return now->mode == model::Mode::open ? Result<void>{} : base::fail(overruled(*now).error());
        };
        Result<model::Report> report =
            convergence.run({.mode = model::Mode::open, .yes = true, .format = format, .still = still});
        const bool refused = report && report->rounds == 0 && !report->remaining.refusals.empty();
        const bool nothing_begun = !report || refused || (report->interrupted && report->rounds == 0);
        const bool failed = nothing_begun || report->interrupted || applying::must_close_again(*report);
        const Result<void> left = failed ? people.store().void_local(user, former_) : Result<void>();
        if (nothing_begun) return left ? report : told_before(report, left.error());
        effective = left ? effective_of(spec_, places_) : effective_without(user);
        if (!effective) return base::fail(effective.error());
        if (effective->mode == model::Mode::open) {
            if (format == Format::text && gave_first_key())
                say("\n{0} has the vault's first key, and the directory does not know the password yet: "
                    "`safectl user enrol {0}` finishes that, and has to come before the next opening\n",
                    user);
            if (!report->interrupted) finish_members(spec_, places_, around_, format);
            return left ? report : base::fail(left.error());
        }
        if (format == Format::text) say("\n{}\n\n", why_closed_again(*report, failed, *effective));
        if (report->interrupted) convergence.undo_from_here();
        const Result<model::Report> closed = convergence.run({.mode = effective->mode, .yes = true, .format = format});
        if (closed ? closed->interrupted && !closed->remaining.steps.empty()
                   : closed.error().kind == Error::Kind::interrupted)
            print_error({"close", "safe " + *spec_.safe + " again", "interrupted",
                         "some of it is open, and nobody is inside: safectl close"},
                        format);
        if (!left) return told_before(closed, left.error());
        if (!closed) return closed;
        return failed ? report : overruled(*effective);
    }

    [[nodiscard]] static std::string why_closed_again(const model::Report& report, bool failed,
                                                      const intent::Effective& effective) {
        if (report.interrupted)
            return "interrupted: the safe is being closed again; a second Ctrl-C leaves it as it is";
        return (failed ? "opening failed" : effective.reasons.front()) + ": the safe is being closed again";
    }

    /// As if it could have been noted that they are outside again: a full disk keeps nothing open.
    [[nodiscard]] Result<intent::Effective> effective_without(const std::string& user) const {
        Result<intent::Snapshot> intent = intent::Store::read(places_.state_dir());
        if (!intent) return base::fail(intent.error());
        const auto gone = std::erase_if(intent->sessions, [&](const intent::Session& session) {
            return session.source == intent::local_source && session.user == user;
        });
        if (gone > 0 && former_) intent->sessions.push_back(*former_);
        return effective_of(spec_, *intent, *spec_.mode);
    }

    /// Told last: by what is kept, they are inside still.
    [[nodiscard]] Result<model::Report> told_before(const Result<model::Report>& report, Error unkept) const {
        if (!report) print_error(report.error(), options_.spec.format);
        unkept.advice = "make that work, then: safectl close; until then the next to look takes them for inside";
        return base::fail(std::move(unkept));
    }

    /// Only a key to a vault that is there can be tried beforehand.
    [[nodiscard]] bool gave_first_key() const {
        return spec_.directory && keys_.member() != nullptr && !keys_.member()->derived;
    }

    [[nodiscard]] Result<model::Report> overruled(const intent::Effective& effective) const {
        return base::fail({"keep open", "safe " + *spec_.safe, "meanwhile: " + effective.reasons.front(),
                           "safectl status tells what is wanted now"});
    }

    const specs::SafeSpec& spec_;
    const OpenOptions& options_;
    const Surroundings& around_;
    driver::Places places_;
    driver::KeyRing keys_;
    std::optional<intent::Session> former_;
};

ExitCode open(const OpenOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    return exit_code_of(Opening(*spec, options, around).run(), options.spec.format);
}

}  // namespace

void add_open(Menu& menu) { menu.add<OpenOptions>("open", "Open the safe with a member's key.", declare, open); }

}  // namespace safe::cli
