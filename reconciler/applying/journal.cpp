#include "reconciler/applying/journal.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace safe::applying {
namespace {

using Json = nlohmann::ordered_json;

/// RFC 3339, UTC, milliseconds.
std::string now_text() {
    const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto milliseconds = now.time_since_epoch().count() % 1000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                       milliseconds);
}

Json entry(std::string_view event) { return Json{{"time", now_text()}, {"pid", ::getpid()}, {"event", event}}; }

/// Bytes that are no UTF-8 (from a live system) are replaced rather than thrown over.
std::string text_of(const Json& line) { return line.dump(-1, ' ', false, Json::error_handler_t::replace); }

base::Error journal_error(const std::filesystem::path& path, int error_number) {
    return {.attempt = "write the journal",
            .object = path.string(),
            .cause = base::errno_text(error_number),
            .advice = "make room or repair the file; no step is taken that is not on record"};
}

}  // namespace

base::Result<Journal> Journal::open(const std::filesystem::path& path) {
    base::FileDescriptor file(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return base::fail(journal_error(path, errno));
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    char last = '\n';
    if (size > 0 && ::pread(file.get(), &last, 1, size - 1) != 1) return base::fail(journal_error(path, errno));
    Journal journal;
    journal.file_ = std::move(file);
    journal.path_ = path;
    journal.in_a_line_ = last != '\n';
    return journal;
}

Journal Journal::unopened(base::Error why) {
    Journal journal;
    journal.unopened_ = std::move(why);
    return journal;
}

base::Result<void> Journal::started(const model::Plan& plan) {
    Json line = entry("apply");
    line["safe"] = plan.safe;
    line["mode"] = model::to_text(plan.mode);
    line["spec"] = plan.spec_digest;
    line["steps"] = plan.steps.size();
    return append(text_of(line), Flush::now);
}

base::Result<void> Journal::step_started(const model::Step& step) {
    Json line = entry("step");
    line["resource"] = to_text(step.resource);
    line["action"] = model::to_text(step.action);
    line["verb"] = step.verb;
    return append(text_of(line), Flush::now);
}

base::Result<void> Journal::step_ended(const model::Outcome& outcome) {
    Json line = entry("end");
    line["resource"] = to_text(outcome.resource);
    line["action"] = model::to_text(outcome.action);
    line["outcome"] = model::to_text(outcome.what);
    if (outcome.error) line["error"] = to_text(*outcome.error);
    return append(text_of(line), Flush::with_next);
}

base::Result<void> Journal::ended(const model::Report& report) {
    Json line = entry("applied");
    line["rounds"] = report.rounds;
    line["remaining"] = report.remaining.steps.size();
    line["interrupted"] = report.interrupted;
    return append(text_of(line), Flush::now);
}

base::Result<void> Journal::append(const std::string& text, Flush flush) {
    if (unopened_) return base::fail(*unopened_);
    const std::lock_guard lock(mutex_);
    const std::string line = (in_a_line_ ? "\n" : "") + text + "\n";
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t written = ::write(file_.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return base::fail(journal_error(path_, errno));
        rest.remove_prefix(static_cast<std::size_t>(written));
        in_a_line_ = !line.substr(0, line.size() - rest.size()).ends_with('\n');
    }
    if (flush == Flush::now && ::fdatasync(file_.get()) != 0) return base::fail(journal_error(path_, errno));
    return {};
}

}  // namespace safe::applying
