// The small parts: patterns, suggestions, the core schema, characters, diagnostics.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <regex>
#include <string>

#include "specs/diagnostic.hpp"
#include "specs/document.hpp"
#include "specs/pattern.hpp"
#include "specs/suggestion.hpp"
#include "specs/text_scan.hpp"

namespace safe::specs {
namespace {

TEST(DecimalPattern, MatchesExactlyTheRange) {
    const std::pair<unsigned, unsigned> ranges[] = {{0, 0}, {0, 255}, {1, 512},   {1, 65535},
                                                    {7, 7}, {19, 21}, {99, 1001}, {16, 16384}};
    for (const auto& [lowest, highest] : ranges) {
        const std::regex pattern(anchored(decimal_pattern(lowest, highest)));
        for (unsigned number = 0; number <= highest + 1100; ++number) {
            const bool is_inside = number >= lowest && number <= highest;
            ASSERT_EQ(std::regex_match(std::to_string(number), pattern), is_inside)
                << number << " in " << lowest << "-" << highest;
        }
        EXPECT_FALSE(std::regex_match("0" + std::to_string(highest), pattern));
        EXPECT_FALSE(std::regex_match("", pattern));
    }
}

TEST(DecimalPattern, MatchesAnyRangeAtItsEnds) {
    EXPECT_TRUE(rc::check("ends", [](std::uint32_t one, std::uint32_t other) {
        const std::uint64_t lowest = std::min(one, other);
        const std::uint64_t highest = std::max(one, other);
        const std::regex pattern(anchored(decimal_pattern(lowest, highest)));
        const auto matches = [&](std::uint64_t number) { return std::regex_match(std::to_string(number), pattern); };
        RC_ASSERT(matches(lowest) && matches(highest) && matches(lowest + (highest - lowest) / 2));
        RC_ASSERT(!matches(highest + 1));
        RC_ASSERT(lowest == 0 || !matches(lowest - 1));
    }));
}

TEST(Suggestion, IsTheNearestWord) {
    Suggester suggester;
    EXPECT_EQ(suggester.suggest("desktpo", {"gateway", "desktop"}), "did you mean desktop?");
    EXPECT_EQ(suggester.suggest("memroy-max", {"memory", "memory-max"}), "did you mean memory-max?");
    EXPECT_EQ(suggester.suggest("volumes", {"vms", "mode"}), "");
    EXPECT_EQ(suggester.suggest(std::string(100000, 'a'), {"a"}), "");
    EXPECT_EQ(slips("abcd", "acbd"), 1U);
    EXPECT_EQ(slips("", "abc"), 3U);
}

TEST(Suggestion, StopsWhenTheWorkIsUsedUp) {
    Suggester suggester;
    const std::vector<std::string_view> words(60'000, "xxxxxx");
    EXPECT_EQ(suggester.suggest("aaaaaa", words), "");
    EXPECT_EQ(suggester.suggest("aaaaaa", words), "");
    EXPECT_EQ(suggester.suggest("desktpo", {"desktop"}), "");
}

CoreType type_of(const std::string& text, bool quoted = false) {
    return core_type(make_node(Node::Kind::scalar, {}, text, quoted));
}

TEST(CoreType, IsThatOfYaml12) {
    for (const char* const text :
         {"on", "yes", "No", "1a", "1_000", "1:30", "0b1", "+", "-", ".", "e5", "1e", "0x", "1.2.3.4", "=", ""}) {
        EXPECT_EQ(type_of(text), CoreType::text) << text;
    }
    for (const char* const text : {"0", "-1", "+12", "007", "0o17", "0xFf"})
        EXPECT_EQ(type_of(text), CoreType::integer) << text;
    for (const char* const text : {"1.5", ".5", "1.", "1e3", "-1.5E-3", ".inf", "-.Inf", ".NaN"}) {
        EXPECT_EQ(type_of(text), CoreType::number) << text;
    }
    for (const char* const text : {"true", "False", "TRUE"}) EXPECT_EQ(type_of(text), CoreType::boolean) << text;
    EXPECT_EQ(type_of("1", true), CoreType::text);
    EXPECT_EQ(core_type({}), CoreType::nothing);
}

TEST(Characters, OfEveryScriptAreFine) {
    EXPECT_EQ(find_bad_character("é \xE2\x82\xAC \xF0\x9F\x94\x92 \t\r\n").what, "");
}

TEST(Characters, ThatHideAreFoundAtTheirPlace) {
    using namespace std::string_literals;
    const std::pair<std::string, std::string> cases[] = {
        {"ab\0"s, "a NUL byte (U+0000)"},
        {"ab\x1B"s, "a control character (U+001B)"},
        {"ab\x7F"s, "a control character (U+007F)"},
        {"ab\xC2\x85"s, "a control character (U+0085)"},
        {"ab\xE2\x80\xAE"s, "a bidirectional control character (U+202E)"},
        {"ab\xE2\x81\xA6"s, "a bidirectional control character (U+2066)"},
        {"ab\xE2\x80\x8F"s, "a bidirectional control character (U+200F)"},
        {"ab\xD8\x9C"s, "a bidirectional control character (U+061C)"},
        {"ab\xEF\xBB\xBF"s, "an invisible character (U+FEFF)"},
        {"ab\xE2\x80\xA8"s, "an invisible line break (U+2028)"},
        {"ab\xF3\xA0\x81\x81"s, "an invisible character (U+E0041)"},
        {"ab\rc"s, "a carriage return without a line feed"},
        {"ab\xFF"s, "invalid UTF-8"},
        {"ab\xC0\x80"s, "invalid UTF-8"},          // overlong
        {"ab\xED\xA0\x80"s, "invalid UTF-8"},      // a surrogate
        {"ab\xF4\x90\x80\x80"s, "invalid UTF-8"},  // beyond U+10FFFF
        {"ab\xE2\x82"s, "invalid UTF-8"},          // cut off
    };
    for (const auto& [text, what] : cases) {
        const CharacterFault fault = find_bad_character(text);
        EXPECT_EQ(fault.what, what);
        EXPECT_EQ(fault.offset, 2U);
    }
}

TEST(Diagnostics, ComeInTheOrderOfTheFileAndOnce) {
    Diagnostics diagnostics;
    diagnostics.warning({"a.yaml", 3, 1}, "late");
    EXPECT_FALSE(diagnostics.has_errors());
    diagnostics.error({"a.yaml", 2, 10}, "second", "do this");
    diagnostics.error({"a.yaml", 2, 9}, "first");
    diagnostics.error({"a.yaml", 2, 9}, "first");
    EXPECT_TRUE(diagnostics.has_errors());
    const auto sorted = diagnostics.sorted();
    ASSERT_EQ(sorted.size(), 3U);
    EXPECT_EQ(to_text(sorted[0]), "a.yaml:2:9: error: first");
    EXPECT_EQ(to_text(sorted[1]), "a.yaml:2:10: error: second; do this");
    EXPECT_EQ(to_text(sorted[2]), "a.yaml:3:1: warning: late");
}

}  // namespace
}  // namespace safe::specs
