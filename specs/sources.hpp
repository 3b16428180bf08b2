// The files that a spec is made of: the first, and those that it includes. Only regular files are opened, and included
// ones only below the directory of the first, wherever links may point. A Sources lives for one load.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "specs/diagnostic.hpp"
#include "specs/text_scan.hpp"

namespace safe::specs {

class Sources {
 public:
    /// `file` is the first file's name as diagnostics carry it.
    Sources(std::string file, Diagnostics& diagnostics);

    /// The content of the first file; nullopt when it cannot be read, which is reported.
    [[nodiscard]] std::optional<std::string> read_first();
    /// Takes the first file's content as given.
    void take_first(std::string_view text);

    struct File {
        std::string name;  // as diagnostics carry it
        std::string text;
    };
    /// The files that one word of `include` at `at` stands for: itself, or the *.yaml in that directory by name.
    [[nodiscard]] std::vector<File> read_included(const std::string& word, const Position& at);

    /// Absolute: where relative paths in the spec start.
    [[nodiscard]] const std::string& directory() const { return directory_; }

    /// SHA-256 of what sha256sum(1) prints of every file in the order read, by their names below the directory.
    [[nodiscard]] std::string digest() const;

 private:
    [[nodiscard]] std::optional<std::string> read(const std::filesystem::path& path, const Position& at);
    [[nodiscard]] bool lies_below(const std::string& name, const Position& at);
    [[nodiscard]] std::vector<std::string> list_directory(const std::string& word, const Position& at);
    void record(const std::string& name, std::string_view text);

    std::string file_;
    std::string directory_;
    Diagnostics& diagnostics_;
    std::size_t bytes_left_ = Bounds::bytes;
    std::vector<std::string> sums_;
};

}  // namespace safe::specs
