// tests/unit/specs/cases: each a spec (NAME.yaml, or NAME/safe.yaml with what it includes) and what a person is told
// about it (NAME.txt).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "specs/loader.hpp"
#include "tests/unit/specs/accepted.hpp"

namespace safe::specs {
namespace {

namespace fs = std::filesystem;

fs::path cases() { return test::source_directory() / "tests/unit/specs/cases"; }

std::vector<std::string> case_names() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(cases())) {
        if (entry.path().extension() == ".yaml" || entry.is_directory()) names.push_back(entry.path().stem().string());
    }
    std::ranges::sort(names);
    return names;
}

class Case : public testing::TestWithParam<std::string> {};

TEST_P(Case, IsToldAsExpected) {
    fs::current_path(cases());  // so that no path of this machine is in what is told
    const std::string& name = GetParam();
    const Loaded loaded = load_file(fs::is_directory(name) ? name + "/safe.yaml" : name + ".yaml");
    std::string text;
    for (const Diagnostic& diagnostic : loaded.diagnostics) text += to_text(diagnostic) + "\n";
    text += loaded.spec ? "valid\n" : "refused\n";
    const bool has_errors = std::ranges::any_of(
        loaded.diagnostics, [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::error; });
    EXPECT_EQ(loaded.spec.has_value(), !has_errors);
    test::expect_accepted(cases() / (name + ".txt"), text);
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
    std::string name = info.param;
    std::ranges::replace(name, '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Specs, Case, testing::ValuesIn(case_names()), test_name);

}  // namespace
}  // namespace safe::specs
