#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <string_view>
#include <utility>

#include "plugins/iscsi/iscsi_api.hpp"
#include "plugins/iscsi/scsi.hpp"
#include "reconciler/base/unique_handle.hpp"

namespace safe::iscsi {
namespace {

using Clock = std::chrono::steady_clock;
using Context = base::UniqueHandle<iscsi_context, iscsi_destroy_context>;

/// What one call of libiscsi ended with; written by its callback.
struct Answer {
    bool finished = false;
    int status = SCSI_STATUS_ERROR;
    std::vector<std::byte> data = {};
    scsi_sense sense = {};
    std::string said = {};                                          // libiscsi's words at that moment
    std::vector<std::pair<std::string, std::string>> offered = {};  // discovery: target and portal

    [[nodiscard]] bool good() const { return status == SCSI_STATUS_GOOD; }
};

void note_status(iscsi_context* context, int status, void* /*data*/, void* into) {
    auto& answer = *static_cast<Answer*>(into);
    if (answer.finished) return;  // a connection reports its own end here once more
    answer.finished = true;
    answer.status = status;
    if (status != SCSI_STATUS_GOOD) answer.said = iscsi_get_error(context);
}

void note_task(iscsi_context* /*context*/, int status, void* data, void* into) {
    auto& answer = *static_cast<Answer*>(into);
    auto* task = static_cast<scsi_task*>(data);
    if (task != nullptr) {
        const auto* bytes = reinterpret_cast<const std::byte*>(task->datain.data);
        if (bytes != nullptr && task->datain.size > 0) answer.data.assign(bytes, bytes + task->datain.size);
        answer.sense = task->sense;
        scsi_free_scsi_task(task);
    }
    answer.finished = true;
    answer.status = status;
}

void note_targets(iscsi_context* /*context*/, int status, void* data, void* into) {
    auto& answer = *static_cast<Answer*>(into);
    answer.finished = true;
    answer.status = status;
    if (status != SCSI_STATUS_GOOD) return;
    // The list lives for this call only.
    for (const auto* target = static_cast<const iscsi_discovery_address*>(data); target != nullptr;
         target = target->next)
        for (const iscsi_target_portal* portal = target->portals; portal != nullptr; portal = portal->next)
            answer.offered.emplace_back(target->target_name, portal->portal);
}

/// ",1" at the end of a discovered portal is the tag of its group (RFC 7143, Appendix C).
std::uint16_t tag_of(std::string_view portal) {
    std::uint16_t tag = 1;
    if (const auto comma = portal.rfind(','); comma != std::string_view::npos)
        std::from_chars(portal.data() + comma + 1, portal.data() + portal.size(), tag);
    return tag;
}

/// One connection to a portal, driven by hand so that no call outlasts the deadline of the whole.
class Connection {
 public:
    Connection(const Question& question, Clock::time_point deadline) : question_(question), deadline_(deadline) {}

    base::Result<void> open(iscsi_session_type type) {
        context_.reset(iscsi_create_context(question_.initiator.c_str()));
        if (!context_) return failure("talk to", "libiscsi could not be set up", "free some memory and try again");
        iscsi_set_noautoreconnect(context_.get(), 1);
        iscsi_set_session_type(context_.get(), type);
        iscsi_set_header_digest(context_.get(), ISCSI_HEADER_DIGEST_CRC32C_NONE);
        if (type == ISCSI_SESSION_NORMAL)
            iscsi_set_targetname(context_.get(), question_.address.endpoint.target.c_str());
        if (base::Result<void> told = tell_secret(); !told) return told;
        const std::string& portal = question_.address.endpoint.portal;
        const auto connected = wait([&](Answer& answer) {
            return iscsi_connect_async(context_.get(), portal.c_str(), note_status, &answer) == 0;
        });
        if (!connected) return base::fail(connected.error());
        if (!(*connected)->good())
            return failure("connect to", (*connected)->said,
                           "see whether the storage is up and reachable, and apply again");
        const auto logged_in =
            wait([&](Answer& answer) { return iscsi_login_async(context_.get(), note_status, &answer) == 0; });
        if (!logged_in) return base::fail(logged_in.error());
        if (!(*logged_in)->good()) return login_refused();
        return {};
    }

    /// Targets and their portals, as the portal tells.
    base::Result<const Answer*> discover() {
        return wait([&](Answer& answer) { return iscsi_discovery_async(context_.get(), note_targets, &answer) == 0; });
    }

    /// The answer to one SCSI command. A unit that first has something to say (unit attention) is asked again.
    base::Result<const Answer*> ask(const std::function<scsi_task*(iscsi_context*, Answer*)>& command) {
        for (int attempts = 5;; --attempts) {
            auto answer = wait([&](Answer& into) { return command(context_.get(), &into) != nullptr; });
            if (!answer) return answer;
            const bool attention =
                (*answer)->status == SCSI_STATUS_CHECK_CONDITION && (*answer)->sense.key == SCSI_SENSE_UNIT_ATTENTION;
            if (!attention || attempts == 0) return answer;
        }
    }

    /// Best effort: all is known by now, and a target forgets a connection that just closes.
    void close() {
        const auto left =
            wait([&](Answer& answer) { return iscsi_logout_async(context_.get(), note_status, &answer) == 0; });
        static_cast<void>(left);
    }

    [[nodiscard]] std::unexpected<base::Error> failure(std::string attempt, std::string cause,
                                                       std::string advice) const {
        return base::fail({std::move(attempt), to_text(question_.address), std::move(cause), std::move(advice)});
    }

    [[nodiscard]] std::string said() const {
        std::string text = iscsi_get_error(context_.get());
        while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
        return text.empty() ? "libiscsi gave no reason" : text;
    }

 private:
    base::Result<void> tell_secret() {
        if (question_.chap == nullptr) return {};
        const std::string_view secret = question_.chap->secret.view();
        // libiscsi wants it terminated, and copies it into its own context, which it overwrites when it is destroyed.
        base::Result<base::Secret> terminated = base::Secret::of_size(secret.size() + 1);
        if (!terminated) return base::fail(std::move(terminated.error()));
        std::ranges::copy(question_.chap->secret.bytes(), terminated->bytes().begin());
        iscsi_set_initiator_username_pwd(context_.get(), question_.chap->user.c_str(),
                                         reinterpret_cast<const char*>(terminated->bytes().data()));
        return {};
    }

    base::Result<const Answer*> wait(const std::function<bool(Answer&)>& start) {
        Answer& answer = *answers_.emplace_back(std::make_unique<Answer>());
        if (!start(answer)) return failure("ask", said(), "see whether the storage is up and reachable");
        while (!answer.finished) {
            if (question_.stop.stop_requested())
                return base::fail({"ask", to_text(question_.address), "interrupted", "apply again to go on",
                                   base::Error::Kind::interrupted});
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
            if (left.count() <= 0)
                return failure("get an answer from", fmt::format("silence for {} s", question_.limit.count() / 1000),
                               "see whether the storage and the network to it are well, and apply again");
            pollfd waiting{iscsi_get_fd(context_.get()), static_cast<short>(iscsi_which_events(context_.get())), 0};
            constexpr std::chrono::milliseconds tick{200};  // how soon a stop is heard
            const int ready = ::poll(&waiting, 1, static_cast<int>(std::min(left, tick).count()));
            if (iscsi_service(context_.get(), ready > 0 ? waiting.revents : 0) < 0 && !answer.finished)
                return failure("talk to", said(), "see whether the storage is up and reachable, and apply again");
        }
        return &answer;
    }

    /// The status of a refused login (RFC 7143, 11.13.5) stands in brackets at the end of libiscsi's message.
    [[nodiscard]] std::unexpected<base::Error> login_refused() const {
        const std::string text = said();
        if (text.ends_with("(513)") || text.ends_with("(514)")) {
            const std::string advice = question_.chap == nullptr
                                           ? "if the target asks for CHAP, declare `chap` for this volume"
                                           : "compare user and secret of `chap` with what the target expects";
            return failure("log in to", text, advice);
        }
        if (text.ends_with("(515)"))
            return failure("log in to", text, "correct the target's name, or let it accept " + question_.initiator);
        return failure("log in to", text, "see what the target's own log says, and apply again");
    }

    const Question& question_;
    Clock::time_point deadline_;
    std::vector<std::unique_ptr<Answer>> answers_;  // outlive the context, whose end may still call back
    Context context_;
};

class LibiscsiProber final : public Prober {
 public:
    base::Result<Found> probe(const Question& question) override {
        const auto deadline = Clock::now() + question.limit;
        Found found;
        if (auto tag = discover(question, deadline); tag)
            found.portal_group = *tag;
        else
            return base::fail(std::move(tag.error()));
        Connection connection(question, deadline);
        if (auto opened = connection.open(ISCSI_SESSION_NORMAL); !opened) return base::fail(std::move(opened.error()));
        if (auto looked = look(connection, static_cast<int>(question.address.lun), found); !looked)
            return base::fail(std::move(looked.error()));
        connection.close();
        return found;
    }

 private:
    static base::Result<std::uint16_t> discover(const Question& question, Clock::time_point deadline) {
        Connection connection(question, deadline);
        if (auto opened = connection.open(ISCSI_SESSION_DISCOVERY); !opened)
            return base::fail(std::move(opened.error()));
        const auto answer = connection.discover();
        if (!answer) return base::fail(answer.error());
        if (!(*answer)->good())
            return connection.failure("discover", connection.said(), "let the portal answer discovery");
        std::optional<std::uint16_t> tag;
        std::vector<std::string> names;
        for (const auto& [target, portal] : (*answer)->offered) {
            names.push_back(target);
            if (target != question.address.endpoint.target) continue;
            // Behind address translation the portal tells another address than the one that we know it by.
            if (!tag || portal.starts_with(question.address.endpoint.portal + ",")) tag = tag_of(portal);
        }
        connection.close();
        if (tag) return *tag;
        const auto repeated = std::ranges::unique(names);
        names.erase(repeated.begin(), repeated.end());
        return connection.failure("find",
                                  names.empty() ? "the portal offers us no target"
                                                : fmt::format("the portal offers {}", fmt::join(names, ", ")),
                                  "correct the target's name, or let the storage offer it to " + question.initiator);
    }

    static base::Result<void> look(Connection& connection, int lun, Found& found) {
        const auto inquiry = [&](int vital, int page) {
            return connection.ask([=](iscsi_context* context, Answer* answer) {
                return iscsi_inquiry_task(context, lun, vital, page, 255, note_task, answer);
            });
        };
        const auto standard = inquiry(0, 0);
        if (!standard) return base::fail(standard.error());
        if (!(*standard)->good() || !is_disk((*standard)->data)) return no_such_unit(connection);
        // A unit need not have these pages; one that cannot be asked at all says so below.
        const auto serial = inquiry(1, 0x80);
        if (!serial) return base::fail(serial.error());
        if ((*serial)->good()) found.identity.serial = serial_of((*serial)->data);
        const auto designators = inquiry(1, 0x83);
        if (!designators) return base::fail(designators.error());
        if ((*designators)->good()) found.identity.designator = designator_of((*designators)->data);

        const auto mode = connection.ask([=](iscsi_context* context, Answer* answer) {
            return iscsi_modesense6_task(context, lun, 1, SCSI_MODESENSE_PC_CURRENT, 0x3f, 0, 255, note_task, answer);
        });
        if (!mode) return base::fail(mode.error());
        found.write_protected = (*mode)->good() && write_protected((*mode)->data);
        return read_disk(connection, lun, found);
    }

    static base::Result<void> read_disk(Connection& connection, int lun, Found& found) {
        const auto measured = connection.ask([=](iscsi_context* context, Answer* answer) {
            return iscsi_readcapacity16_task(context, lun, note_task, answer);
        });
        if (!measured) return base::fail(measured.error());
        const auto capacity = (*measured)->good() ? capacity_of((*measured)->data) : std::nullopt;
        if (!capacity)
            return connection.failure("measure",
                                      (*measured)->good() ? "it tells a size that no disk has" : connection.said(),
                                      "see what the storage says of this unit");
        found.identity.capacity = capacity->blocks * capacity->block_size;
        if (found.identity.capacity < luks_header_size)
            return connection.failure("read", "it is too small to hold a LUKS header",
                                      "let the storage make it larger");
        const auto block_size = static_cast<int>(capacity->block_size);
        const auto length = static_cast<std::uint32_t>(std::max<std::size_t>(luks_header_size, capacity->block_size));
        const auto header = connection.ask([=](iscsi_context* context, Answer* answer) {
            return iscsi_read16_task(context, lun, 0, length, block_size, 0, 0, 0, 0, 0, note_task, answer);
        });
        if (!header) return base::fail(header.error());
        if (!(*header)->good() || (*header)->data.size() < luks_header_size)
            return connection.failure("read the first blocks of", connection.said(),
                                      "see what the storage says of this unit");
        found.identity.luks = luks_uuid((*header)->data);
        return {};
    }

    static std::unexpected<base::Error> no_such_unit(Connection& connection) {
        const auto reported = connection.ask([](iscsi_context* context, Answer* answer) {
            return iscsi_reportluns_task(context, 0, 4096, note_task, answer);
        });
        std::string cause = "there is no disk of this number";
        if (reported && (*reported)->good())
            cause += fmt::format("; the target has the numbers {}", fmt::join(luns_of((*reported)->data), ", "));
        return connection.failure("find", std::move(cause), "correct `lun`, or let the storage map the unit");
    }
};

}  // namespace

std::unique_ptr<Prober> make_prober() { return std::make_unique<LibiscsiProber>(); }

}  // namespace safe::iscsi
