// What was done, kept: one JSON object a line, appended and on disk (fdatasync) before it counts as written, but for
// the end of a step, which is on disk with the line after it: when the power fails in between, the step looks cut
// short. A record for people and for finding out what a killed run was doing; nothing is ever decided by reading it.
// Holds no secrets, because steps hold none. Safe from several threads.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/result.hpp"
#include "reconciler/model/plan.hpp"

namespace safe::applying {

class Journal {
 public:
    /// Opens for appending, mode 0600, making the file when it is missing. A last line that a power cut or a full disk
    /// left unfinished is closed by a line break before the next one, so that it spoils none.
    [[nodiscard]] static base::Result<Journal> open(const std::filesystem::path& path);

    /// In the place of one that could not be opened: every line fails with that error.
    [[nodiscard]] static Journal unopened(base::Error why);

    Journal(Journal&& other) noexcept
        : file_(std::move(other.file_)),
          path_(std::move(other.path_)),
          unopened_(std::move(other.unopened_)),
          in_a_line_(other.in_a_line_) {}
    Journal& operator=(Journal&&) = delete;
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;
    ~Journal() = default;

    [[nodiscard]] base::Result<void> started(const model::Plan& plan);
    [[nodiscard]] base::Result<void> step_started(const model::Step& step);
    [[nodiscard]] base::Result<void> step_ended(const model::Outcome& outcome);
    [[nodiscard]] base::Result<void> ended(const model::Report& report);

 private:
    Journal() = default;
    enum class Flush { now, with_next };
    [[nodiscard]] base::Result<void> append(const std::string& line, Flush flush);

    base::FileDescriptor file_;
    std::filesystem::path path_;
    std::optional<base::Error> unopened_;
    std::mutex mutex_;
    bool in_a_line_ = false;  // the last one written has no end
};

}  // namespace safe::applying
