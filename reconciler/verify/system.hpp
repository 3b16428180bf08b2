// System: the machine that is looked at. Every path is read below a directory, "/" on a real machine and a small tree
// in tests; programs run through a function. Nothing here changes anything. Three answers are told apart: it is there,
// it is not there, it could not be looked at. Thread-safe; owns nothing but its settings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reconciler/base/process.hpp"
#include "reconciler/base/result.hpp"

namespace safe::verify {

/// One of three: it is there, it is not there, or it could not be looked at, which is never "not there".
template <class T>
class Seen {
 public:
    Seen(T value) : answer_(std::move(value)) {}                             // NOLINT: as std::expected has it
    Seen(std::nullopt_t) : answer_(std::monostate{}) {}                      // NOLINT
    Seen(std::unexpected<base::Error> error) : answer_(std::move(error)) {}  // NOLINT

    /// It could be looked at.
    explicit operator bool() const { return !std::holds_alternative<std::unexpected<base::Error>>(answer_); }
    [[nodiscard]] bool there() const { return std::holds_alternative<T>(answer_); }
    /// Only of what is there.
    [[nodiscard]] const T& value() const { return std::get<T>(answer_); }
    [[nodiscard]] T& value() { return std::get<T>(answer_); }
    /// `other` for what is not there, and for what could not be looked at.
    [[nodiscard]] T value_or(const T& other) const { return there() ? value() : other; }
    /// Only of what could not be looked at.
    [[nodiscard]] const base::Error& error() const { return std::get<std::unexpected<base::Error>>(answer_).error(); }

 private:
    std::variant<T, std::monostate, std::unexpected<base::Error>> answer_;
};

struct DeviceNumber {
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    auto operator<=>(const DeviceNumber&) const = default;
};
/// "253:0", as the kernel writes it.
[[nodiscard]] std::string to_text(DeviceNumber number);
/// The inverse; nullopt for any other text.
[[nodiscard]] std::optional<DeviceNumber> parse_device_number(std::string_view text);

/// What stat(2) tells of a file.
struct FileFacts {
    enum class Type { file, directory, block, other };
    Type type = Type::other;
    unsigned mode = 0;  // the permission bits
    unsigned owner = 0;
    DeviceNumber filesystem = {};  // the device it lies on
    std::uint64_t inode = 0;
    DeviceNumber device = {};  // which device it stands for; only of type block
};

class System {
 public:
    using Run = std::function<base::Result<base::Finished>(const std::vector<std::string>& arguments)>;
    using Status = std::function<Seen<FileFacts>(const std::filesystem::path& path, bool follow)>;

    /// This machine.
    System();
    /// The tree below `root`. `status` gets whole paths, `root` included.
    System(std::filesystem::path root, Run run, Status status);

    /// A whole file of at most 16 MiB, those of procfs and sysfs too.
    [[nodiscard]] Seen<std::string> read(const std::filesystem::path& path) const;
    /// The same without the line break at its end.
    [[nodiscard]] Seen<std::string> read_line(const std::filesystem::path& path) const;
    /// The first `size` bytes, or fewer when the file is shorter. Of a regular file or block device.
    [[nodiscard]] Seen<std::string> read_start(const std::filesystem::path& path, std::size_t size) const;
    /// The names in a directory, sorted.
    [[nodiscard]] Seen<std::vector<std::string>> list(const std::filesystem::path& path) const;
    /// Where a symbolic link points, as it is written.
    [[nodiscard]] Seen<std::string> link(const std::filesystem::path& path) const;
    /// Follows links, the magic ones of procfs too. Asks no server of a network filesystem.
    [[nodiscard]] Seen<FileFacts> status(const std::filesystem::path& path) const;
    /// The same of the link itself.
    [[nodiscard]] Seen<FileFacts> link_status(const std::filesystem::path& path) const;

    /// By argument vector; given up after 30 seconds with status 124, as by timeout(1).
    [[nodiscard]] base::Result<base::Finished> run(const std::vector<std::string>& arguments) const;

 private:
    [[nodiscard]] std::filesystem::path below(const std::filesystem::path& path) const;

    std::filesystem::path root_;
    Run run_;
    Status status_;
};

}  // namespace safe::verify
