#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>

#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/unique_handle.hpp"
#include "reconciler/intent/database.hpp"

namespace safe::intent {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;
using Handle = base::UniqueHandle<sqlite3, sqlite3_close_v2>;
using Statement = base::UniqueHandle<sqlite3_stmt, sqlite3_finalize>;

constexpr int patience_ms = 5000;  // with another process that is writing

Error failure(const char* attempt, const fs::path& path, sqlite3* handle, int code) {
    const int plain = code & 0xFF;
    std::string advice;
    if (plain == SQLITE_CORRUPT || plain == SQLITE_NOTADB)
        advice =
            "nobody can tell who is inside or whether the safe is locked: put the file back from a backup, or, "
            "knowing that, move it away and say what holds now (safectl lock, safectl open)";
    if (plain == SQLITE_BUSY) advice = "another process is writing to it; try again";
    if (plain == SQLITE_FULL) advice = "free some space there and try again";
    return {.attempt = attempt,
            .object = path.string(),
            .cause = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code),
            .advice = std::move(advice)};
}

/// Made here and not by SQLite, whose files everybody can read.
Result<void> make_private(const fs::path& path) {
    const base::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file && ::fchmod(file.get(), 0600) == 0) return {};
    return base::fail({.attempt = "make", .object = path.string(), .cause = base::errno_text(errno)});
}

void bind(sqlite3_stmt* statement, int place, const Cell& cell) {
    if (const auto* number = std::get_if<std::int64_t>(&cell))
        sqlite3_bind_int64(statement, place, *number);
    else if (const auto* text = std::get_if<std::string>(&cell))
        sqlite3_bind_text64(statement, place, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    else
        sqlite3_bind_null(statement, place);
}

Cell cell_of(sqlite3_stmt* statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
        case SQLITE_NULL:
            return std::monostate{};
        case SQLITE_INTEGER:
            return std::int64_t{sqlite3_column_int64(statement, column)};
        default: {
            const auto* text = static_cast<const char*>(sqlite3_column_blob(statement, column));
            const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
            return text != nullptr ? std::string(text, size) : std::string();
        }
    }
}

}  // namespace

struct Database::Connection {
    Handle handle;
    fs::path path;
};

Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Database> Database::open(const fs::path& path, How how) {
    if (how == How::write)
        if (Result<void> made = make_private(path); !made) return base::fail(made.error());
    sqlite3* raw = nullptr;
    // Read-write also to read: a journal that a killed process left is played back before anything is believed.
    const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, nullptr);
    Handle handle(raw);
    if (code != SQLITE_OK) return base::fail(failure("open", path, raw, code));
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_busy_timeout(raw, patience_ms);
    Database database(std::make_unique<Connection>(Connection{std::move(handle), path}));
    if (Result<void> set =
            database.run("PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA; PRAGMA trusted_schema=OFF;");
        !set)
        return base::fail(set.error());
    const Result<std::vector<Row>> sound = database.query("PRAGMA quick_check(1)", {});
    if (!sound) return base::fail(sound.error());
    if (sound->size() != 1 || sound->front() != Row{std::string("ok")})
        return base::fail(failure("read", path, nullptr, SQLITE_CORRUPT));
    return database;
}

Result<void> Database::run(const std::string& statements) {
    sqlite3* handle = connection_->handle.get();
    const int code = sqlite3_exec(handle, statements.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return base::fail(failure("change", connection_->path, handle, code));
    return {};
}

Result<std::vector<Row>> Database::query(const std::string& text, const std::vector<Cell>& bound) {
    sqlite3* handle = connection_->handle.get();
    sqlite3_stmt* raw = nullptr;
    int code = sqlite3_prepare_v2(handle, text.c_str(), -1, &raw, nullptr);
    const Statement statement(raw);
    if (code != SQLITE_OK) return base::fail(failure("read", connection_->path, handle, code));
    for (std::size_t i = 0; i < bound.size(); ++i) bind(raw, static_cast<int>(i) + 1, bound[i]);
    std::vector<Row> rows;
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
        Row row;
        for (int column = 0; column < sqlite3_column_count(raw); ++column) row.push_back(cell_of(raw, column));
        rows.push_back(std::move(row));
    }
    if (code != SQLITE_DONE) return base::fail(failure("use", connection_->path, handle, code));
    return rows;
}

}  // namespace safe::intent
