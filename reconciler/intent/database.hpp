// Database: one SQLite file (https://www.sqlite.org/c3ref/intro.html), without SQLite's headers. Owns the connection;
// used from one thread at a time. A write is on the medium when commit() returns: rollback journal, synchronous=EXTRA,
// which flushes the directory too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reconciler/base/result.hpp"

namespace safe::intent {

/// NULL, an integer, a text. Bound to parameters, never pasted into a statement.
using Cell = std::variant<std::monostate, std::int64_t, std::string>;
using Row = std::vector<Cell>;

class Database {
 public:
    enum class How { read, write };

    /// An existing file for How::read; made (0600) when it is missing for How::write. A file that SQLite finds damaged
    /// is an Error.
    [[nodiscard]] static base::Result<Database> open(const std::filesystem::path& path, How how);

    Database(Database&&) noexcept;
    Database& operator=(Database&&) noexcept;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    /// Statements without parameters or rows, separated by semicolons.
    [[nodiscard]] base::Result<void> run(const std::string& statements);
    [[nodiscard]] base::Result<std::vector<Row>> query(const std::string& statement, const std::vector<Cell>& bound);

 private:
    struct Connection;
    explicit Database(std::unique_ptr<Connection> connection);
    std::unique_ptr<Connection> connection_;
};

}  // namespace safe::intent
