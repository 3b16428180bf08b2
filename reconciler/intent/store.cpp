#include "reconciler/intent/store.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "reconciler/base/file.hpp"

namespace safe::intent {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;

constexpr std::int64_t application_id = 0x73616665;  // "safe": another program's database is not taken for ours
constexpr std::int64_t schema_version = 1;

constexpr const char* schema = R"(
CREATE TABLE session(source TEXT NOT NULL, id TEXT NOT NULL, user TEXT NOT NULL, boot TEXT NOT NULL,
                     renewed INTEGER NOT NULL, until INTEGER, ended INTEGER, PRIMARY KEY(source, id)) STRICT;
CREATE TABLE task(name TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, created INTEGER NOT NULL,
                  deadline INTEGER NOT NULL) STRICT;
CREATE TABLE lock(only INTEGER PRIMARY KEY CHECK(only = 1), by TEXT NOT NULL, reason TEXT NOT NULL,
                  at INTEGER NOT NULL) STRICT;
CREATE TABLE hold(only INTEGER PRIMARY KEY CHECK(only = 1), boot TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
CREATE TABLE wrong_password(user TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL,
                            last INTEGER NOT NULL, PRIMARY KEY(user, source)) STRICT;
)";

fs::path file_in(const fs::path& state_dir) { return state_dir / "intent.db"; }
/// Says that there has been a store, so that one that is lost is not taken for one that never was.
fs::path marker_in(const fs::path& state_dir) { return state_dir / "intent.made"; }

Result<bool> is_there(const fs::path& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0) return true;
    // ENOTDIR: something else lies in the way, so that there can be none.
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return base::fail({.attempt = "look at", .object = path.string(), .cause = base::errno_text(errno)});
}

Error unusable(const fs::path& file, std::string cause) {
    return {.attempt = "tell from",
            .object = file.string(),
            .cause = std::move(cause) + ": who is inside, and whether the safe is locked, is not known",
            .advice =
                "put the file back from a backup, or, knowing that, remove it and intent.made beside it and say "
                "what holds now (safectl lock, safectl open)",
            .kind = Error::Kind::refused};
}

std::int64_t number(const Cell& cell) {
    const auto* value = std::get_if<std::int64_t>(&cell);
    return value != nullptr ? *value : 0;
}
std::string text(const Cell& cell) {
    const auto* value = std::get_if<std::string>(&cell);
    return value != nullptr ? *value : std::string();
}
BootTime boot_time(const Cell& cell) { return BootTime(number(cell)); }
WallTime wall_time(const Cell& cell) { return WallTime(std::chrono::seconds(number(cell))); }
std::optional<BootTime> maybe_boot_time(const Cell& cell) {
    if (std::holds_alternative<std::monostate>(cell)) return std::nullopt;
    return boot_time(cell);
}
Cell cell(BootTime time) { return std::int64_t{time.count()}; }
Cell cell(WallTime time) { return std::int64_t{time.time_since_epoch().count()}; }

Result<std::int64_t> pragma(Database& database, const std::string& name) {
    const Result<std::vector<Row>> rows = database.query("PRAGMA " + name, {});
    if (!rows) return base::fail(rows.error());
    return rows->empty() ? 0 : number(rows->front().front());
}

}  // namespace

template <class Change>
Result<void> Store::transaction(Change change) {
    if (Result<void> begun = database_.run("BEGIN IMMEDIATE"); !begun) return begun;
    Result<void> done = change();
    if (done) done = database_.run("COMMIT");
    if (done) return {};
    [[maybe_unused]] const Result<void> undone = database_.run("ROLLBACK");  // what failed first is what is told
    return done;
}

Result<void> Store::set(const std::string& statement, const std::vector<Cell>& bound) {
    const Result<std::vector<Row>> done = database_.query(statement, bound);
    return done ? Result<void>{} : base::fail(done.error());
}

Result<Store> Store::open_existing(const fs::path& file) {
    Result<Database> database = Database::open(file, Database::How::read);
    if (!database) return base::fail(database.error());
    const Result<std::int64_t> owner = pragma(*database, "application_id");
    if (!owner) return base::fail(owner.error());
    const Result<std::int64_t> version = pragma(*database, "user_version");
    if (!version) return base::fail(version.error());
    if (*owner != application_id) return base::fail(unusable(file, "it is no store of this program"));
    if (*version != schema_version)
        return base::fail(
            unusable(file, fmt::format("it has version {}, and this build knows {}", *version, schema_version)));
    return Store(std::move(*database));
}

Result<Store> Store::open(const fs::path& state_dir) {
    const fs::path file = file_in(state_dir);
    const Result<bool> made_before = is_there(marker_in(state_dir));
    if (!made_before) return base::fail(made_before.error());
    const Result<bool> there = is_there(file);
    if (!there) return base::fail(there.error());
    if (*made_before) return *there ? open_existing(file) : base::fail(unusable(file, "it has gone missing"));

    // The first time, or a first time that was cut short: in one transaction, so that the file is empty or whole.
    Result<Database> database = Database::open(file, Database::How::write);
    if (!database) return base::fail(database.error());
    const Result<std::vector<Row>> tables = database->query("SELECT name FROM sqlite_schema LIMIT 1", {});
    if (!tables) return base::fail(tables.error());
    if (tables->empty()) {
        const std::string all =
            fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id={}; PRAGMA user_version={}; COMMIT", schema,
                        application_id, schema_version);
        if (Result<void> made = database->run(all); !made) return base::fail(made.error());
    }
    Result<Store> store = open_existing(file);
    if (!store) return store;
    if (Result<void> marked = base::replace_file(marker_in(state_dir), "", 0600); !marked)
        return base::fail(marked.error());
    return store;
}

Result<Snapshot> Store::read(const fs::path& state_dir) {
    const fs::path file = file_in(state_dir);
    const Result<bool> there = is_there(file);
    if (!there) return base::fail(there.error());
    const Result<bool> made_before = is_there(marker_in(state_dir));
    if (!made_before) return base::fail(made_before.error());
    if (!*there) return *made_before ? base::fail(unusable(file, "it has gone missing")) : Result<Snapshot>(Snapshot{});
    if (!*made_before) {  // one whose making was cut short is empty, and so is what people want
        Result<Database> database = Database::open(file, Database::How::read);
        if (!database) return base::fail(database.error());
        const Result<std::vector<Row>> tables = database->query("SELECT name FROM sqlite_schema LIMIT 1", {});
        if (!tables) return base::fail(tables.error());
        if (tables->empty()) return Snapshot{};
    }
    Result<Store> store = open_existing(file);
    if (!store) return base::fail(store.error());
    return store->snapshot();
}

Result<Snapshot> Store::snapshot() {
    Snapshot snapshot;
    if (Result<void> begun = database_.run("BEGIN"); !begun) return base::fail(begun.error());
    const auto rows = [&](const char* statement) { return database_.query(statement, {}); };
    const auto sessions = rows("SELECT source,id,user,boot,renewed,until,ended FROM session ORDER BY source,id");
    const auto tasks = rows("SELECT name,owner,created,deadline FROM task ORDER BY name");
    const Result<std::optional<Lock>> lock = kept_lock();
    const auto holds = rows("SELECT boot,until FROM hold");
    const Result<void> ended = database_.run("COMMIT");
    for (const auto* answer : {&sessions, &tasks, &holds})
        if (!*answer) return base::fail(answer->error());
    if (!lock) return base::fail(lock.error());
    if (!ended) return base::fail(ended.error());
    for (const Row& row : *sessions)
        snapshot.sessions.push_back({text(row[0]), text(row[1]), text(row[2]), text(row[3]), boot_time(row[4]),
                                     maybe_boot_time(row[5]), maybe_boot_time(row[6])});
    for (const Row& row : *tasks)
        snapshot.tasks.push_back({text(row[0]), text(row[1]), wall_time(row[2]), wall_time(row[3])});
    snapshot.lock = *lock;
    for (const Row& row : *holds) snapshot.hold = Hold{text(row[0]), boot_time(row[1])};
    return snapshot;
}

Result<void> Store::report(const std::string& source, const std::vector<Connection>& connections, const Now& now) {
    return transaction([&]() -> Result<void> {
        const auto held =
            database_.query("SELECT 1 FROM hold WHERE boot=?1 AND until>?2", {now.boot, cell(now.since_boot)});
        if (!held) return base::fail(held.error());
        if (Result<void> left = set("UPDATE session SET ended=?2 WHERE source=?1 AND ended IS NULL AND boot=?3 AND "
                                    "renewed<?2",
                                    {source, cell(now.since_boot), now.boot});
            !left)
            return left;
        if (!held->empty()) return {};
        for (const Connection& connection : connections)
            if (Result<void> there = set("INSERT OR REPLACE INTO session VALUES(?1,?2,?3,?4,?5,NULL,NULL)",
                                         {source, connection.id, connection.user, now.boot, cell(now.since_boot)});
                !there)
                return there;
        return {};
    });
}

Result<void> Store::begin_local(const std::string& user, std::chrono::seconds length, const Now& now) {
    return transaction([&] {
        return set("INSERT OR REPLACE INTO session VALUES(?1,?2,?2,?3,?4,?5,NULL)",
                   {std::string(local_source), user, now.boot, cell(now.since_boot), cell(now.since_boot + length)});
    });
}

Result<void> Store::void_local(const std::string& user, const std::optional<Session>& former) {
    return transaction([&]() -> Result<void> {
        const auto mine =
            database_.query("SELECT 1 FROM session WHERE source=?1 AND user=?2", {std::string(local_source), user});
        if (!mine) return base::fail(mine.error());
        if (mine->empty()) return {};  // ended meanwhile, and the former with it
        if (Result<void> gone =
                set("DELETE FROM session WHERE source=?1 AND user=?2", {std::string(local_source), user});
            !gone || !former || !former->until)
            return gone;
        return set(
            "INSERT INTO session VALUES(?1,?2,?3,?4,?5,?6,NULL)",
            {former->source, former->id, former->user, former->boot, cell(former->renewed), cell(*former->until)});
    });
}

Result<void> Store::expel(const std::string& user) {
    return transaction([&]() -> Result<void> {
        if (Result<void> ended = set("DELETE FROM session WHERE user=?1", {user}); !ended) return ended;
        return set("DELETE FROM task WHERE owner=?1", {user});
    });
}

Result<void> Store::end_all(const Now& now) {
    if (Result<void> ended = set("DELETE FROM session"); !ended) return ended;
    return set("INSERT OR REPLACE INTO hold VALUES(1,?1,?2)", {now.boot, cell(now.since_boot + close_hold)});
}

Result<void> Store::close(bool cancel_tasks, const Now& now) {
    return transaction([&]() -> Result<void> {
        if (cancel_tasks)
            if (Result<void> cancelled = set("DELETE FROM task"); !cancelled) return cancelled;
        return end_all(now);
    });
}

Result<void> Store::tidy(std::chrono::seconds linger, const Now& now) {
    return transaction([&] {
        return set(
            "DELETE FROM session WHERE boot<>?1 OR min(coalesce(ended,9223372036854775807),"
            "coalesce(until,renewed+?3))<?2",
            {now.boot, cell(now.since_boot - linger), cell(BootTime(lease))});
    });
}

Result<void> Store::put_task(const Task& task) {
    return transaction([&] {
        return set("INSERT OR REPLACE INTO task VALUES(?1,?2,?3,?4)",
                   {task.name, task.owner, cell(task.created), cell(task.deadline)});
    });
}

Result<void> Store::remove_task(const std::string& name) {
    return transaction([&] { return set("DELETE FROM task WHERE name=?1", {name}); });
}

Result<void> Store::lock(const Lock& lock) {
    return transaction([&]() -> Result<void> {
        if (Result<void> ended = set("DELETE FROM session"); !ended) return ended;
        return set("INSERT OR IGNORE INTO lock VALUES(1,?1,?2,?3)", {lock.by, lock.reason, cell(lock.at)});
    });
}

Result<std::optional<Lock>> Store::kept_lock() {
    const auto rows = database_.query("SELECT by,reason,at FROM lock", {});
    if (!rows) return base::fail(rows.error());
    if (rows->empty()) return std::nullopt;
    const Row& row = rows->front();
    return Lock{text(row[0]), text(row[1]), wall_time(row[2])};
}

Result<void> Store::unlock(const Lock& seen, const Now& now) {
    return transaction([&]() -> Result<void> {
        const Result<std::optional<Lock>> kept = kept_lock();
        if (!kept) return base::fail(kept.error());
        if (*kept != seen)
            return base::fail(
                {"lift", "the lock of " + seen.by + " (" + seen.reason + ")",
                 *kept ? "meanwhile another one holds: that of " + (*kept)->by + " (" + (*kept)->reason + ")"
                       : "meanwhile somebody has lifted it",
                 "safectl status tells what holds now", Error::Kind::refused});
        if (Result<void> lifted = set("DELETE FROM lock"); !lifted) return lifted;
        return end_all(now);
    });
}

Result<WrongPasswords> Store::wrong_passwords(std::string_view user, std::string_view source) {
    const auto rows = database_.query("SELECT count,last FROM wrong_password WHERE user=?1 AND source=?2",
                                      {std::string(user), std::string(source)});
    if (!rows) return base::fail(rows.error());
    if (rows->empty()) return WrongPasswords{};
    return WrongPasswords{static_cast<unsigned>(number(rows->front()[0])), wall_time(rows->front()[1])};
}

Result<void> Store::change_wrong_passwords(std::string_view user, std::string_view source,
                                           const std::function<WrongPasswords(const WrongPasswords&)>& change) {
    return transaction([&]() -> Result<void> {
        const Result<WrongPasswords> kept = wrong_passwords(user, source);
        if (!kept) return base::fail(kept.error());
        const WrongPasswords next = change(*kept);
        if (next == *kept) return {};
        if (next.count == 0)
            return set("DELETE FROM wrong_password WHERE user=?1 AND source=?2",
                       {std::string(user), std::string(source)});
        return set("INSERT OR REPLACE INTO wrong_password VALUES(?1,?2,?3,?4)",
                   {std::string(user), std::string(source), std::int64_t{next.count}, cell(next.last)});
    });
}

}  // namespace safe::intent
