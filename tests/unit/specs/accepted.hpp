// What is told of a spec, and expected texts that lie in the repository: compared, or with SAFE_ACCEPT=1 in the
// environment rewritten for a reviewer.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "specs/loader.hpp"

namespace safe::specs::test {

[[nodiscard]] inline std::filesystem::path source_directory() { return SAFE_SOURCE_DIR; }

[[nodiscard]] inline std::string file_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

/// All diagnostics, a line each.
[[nodiscard]] inline std::string told(const Loaded& loaded) {
    std::string text;
    for (const Diagnostic& diagnostic : loaded.diagnostics) text += to_text(diagnostic) + "\n";
    return text;
}

inline void expect_accepted(const std::filesystem::path& path, const std::string& text) {
    const char* const accept = std::getenv("SAFE_ACCEPT");
    if (accept != nullptr && std::string(accept) == "1") write_file(path, text);
    EXPECT_EQ(file_text(path), text) << "run with SAFE_ACCEPT=1 to accept the new text of " << path;
}

}  // namespace safe::specs::test
