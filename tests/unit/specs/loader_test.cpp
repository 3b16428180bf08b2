#include "specs/loader.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "specs/text_scan.hpp"
#include "tests/unit/specs/accepted.hpp"

namespace safe::specs {
namespace {

namespace fs = std::filesystem;

std::string example() { return test::file_text(test::source_directory() / "tests/unit/specs/cases/example.yaml"); }

void expect_refused(const Loaded& loaded, const std::string& why) {
    EXPECT_FALSE(loaded.spec.has_value());
    EXPECT_NE(test::told(loaded).find(why), std::string::npos) << test::told(loaded);
}

TEST(Loader, FillsTheStructs) {
    const Loaded loaded = load_text(example(), "/srv/atlas/safe.yaml");
    ASSERT_TRUE(loaded.spec) << test::told(loaded);
    const SafeSpec& spec = *loaded.spec;
    EXPECT_EQ(spec.source, "/srv/atlas/safe.yaml");
    EXPECT_EQ(*spec.safe, "atlas");
    EXPECT_EQ(to_text(spec.safe.at), "/srv/atlas/safe.yaml:2:7");
    EXPECT_EQ(*spec.mode, WantedMode::automatic);
    EXPECT_EQ(**spec.suspend, Suspend::ram);
    EXPECT_EQ(*spec.hypervisor, "qemu:///system");
    EXPECT_EQ(spec.hypervisor.at, Position{}) << "a default is written nowhere";
    EXPECT_EQ(to_text(*spec.network->address), "10.77.0.1/24");
    EXPECT_EQ(**spec.network->gateway, "gateway");
    ASSERT_EQ(spec.vms.size(), 2U);
    EXPECT_EQ(spec.vms[0].name, "gateway") << "the order of the file is kept";
    EXPECT_EQ(spec.vms[0].boot->kernel->resolved, "/srv/atlas/guest/vmlinux");
    EXPECT_EQ(spec.vms[0].boot->kernel->written, "guest/vmlinux");
    EXPECT_EQ(*spec.vms[0].boot->cmdline, "quiet");
    EXPECT_EQ(*spec.vms[0].memory_max, *spec.vms[0].memory) << "the default";
    EXPECT_EQ(*spec.vms[0].cpus_max, 1U);
    EXPECT_EQ(*spec.vms[1].memory_max, ByteSize{std::uint64_t{16} << 30});
    EXPECT_EQ(**spec.vms[1].disk, ByteSize{std::uint64_t{40} << 30});
    EXPECT_EQ(*spec.vms[1].cpus_max, 8U);
    EXPECT_EQ(to_text(**spec.vms[1].address), "10.77.0.20");
    ASSERT_EQ(spec.firewall.size(), 1U);
    EXPECT_EQ(spec.firewall[0].allow.size(), 2U);
    EXPECT_EQ(*spec.firewall[0].when, When::open);
    EXPECT_EQ(spec.digest.size(), 64U);
}

TEST(Loader, ResolvesWhatRulesName) {
    const Loaded loaded = load_text(example(), "safe.yaml");
    ASSERT_TRUE(loaded.spec) << test::told(loaded);
    const SafeSpec& spec = *loaded.spec;
    EXPECT_EQ(resolve_endpoint(spec, "desktop")->vm, spec.vm("desktop"));
    EXPECT_EQ(to_text(resolve_endpoint(spec, "desktop")->addresses), "10.77.0.20/32");
    EXPECT_EQ(resolve_endpoint(spec, "users")->kind, Endpoint::Kind::users);
    EXPECT_EQ(to_text(resolve_endpoint(spec, "super-users")->addresses), "10.78.1.0/24");
    EXPECT_EQ(to_text(resolve_endpoint(spec, "192.0.2.80")->addresses), "192.0.2.80/32");
    EXPECT_EQ(to_text(resolve_endpoint(spec, "192.0.2.0/24")->addresses), "192.0.2.0/24");
    EXPECT_EQ(resolve_endpoint(spec, "desktpo"), std::nullopt);
    EXPECT_EQ(resolve_endpoint(spec, "192.0.2.1/24"), std::nullopt);
    EXPECT_EQ(spec.vm("nobody"), nullptr);
}

TEST(Loader, RefusesAFileThatWasCutOff) {
    const std::string whole = example();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const bool ends_a_line = size > 0 && whole[size - 1] == '\n';
        if (ends_a_line) continue;  // a shorter spec, as good as any other
        const Loaded loaded = load_text(whole.substr(0, size), "safe.yaml");
        ASSERT_FALSE(loaded.spec) << "cut off at byte " << size;
        ASSERT_FALSE(loaded.diagnostics.empty()) << "cut off at byte " << size;
    }
}

TEST(Loader, DigestFollowsContentAndNamesButNotPlace) {
    const std::string here = load_text(example(), "/srv/a/safe.yaml").spec->digest;
    EXPECT_EQ(load_text(example(), "/srv/b/safe.yaml").spec->digest, here);
    EXPECT_NE(load_text(example(), "/srv/a/other.yaml").spec->digest, here);
    EXPECT_NE(load_text(example() + "# more\n", "/srv/a/safe.yaml").spec->digest, here);
}

class Directory : public testing::Test {
 protected:
    Directory() : path_(fs::path(testing::TempDir()) / ("safe-loader-" + std::to_string(getpid()))) {
        fs::create_directories(path_);
    }
    ~Directory() override { fs::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    Directory(Directory&&) = delete;
    Directory& operator=(Directory&&) = delete;

    void write(const std::string& name, const std::string& text) { test::write_file(path_ / name, text); }
    [[nodiscard]] Loaded load() const { return load_file(path_ / "safe.yaml"); }

    fs::path path_;
};

TEST_F(Directory, WhatCannotBeReadIsSaid) {
    expect_refused(load(), "cannot read");
    expect_refused(load(), "No such file or directory; check the path");
    expect_refused(load_file(path_), "it is a directory");
    ASSERT_EQ(mkfifo((path_ / "safe.yaml").c_str(), 0600), 0);
    expect_refused(load(), "it is not a regular file");
    fs::remove(path_ / "safe.yaml");
    write("safe.yaml", "");
    expect_refused(load(), "the file holds nothing");
    if (geteuid() != 0) {
        fs::permissions(path_ / "safe.yaml", fs::perms::none);
        expect_refused(load(), "Permission denied; run as a user who may read it");
    }
}

TEST_F(Directory, IncludedFilesStayBelowIt) {
    fs::create_directories(path_ / "spec/inside");
    test::write_file(path_ / "secret.yaml", "root: s3cret\n");
    test::write_file(path_ / "spec/safe.yaml", "version: 1\nsafe: atlas\ninclude: [link.yaml, inside]\n");
    fs::create_symlink(path_ / "secret.yaml", path_ / "spec/link.yaml");
    fs::create_symlink(path_ / "secret.yaml", path_ / "spec/inside/link.yaml");
    const Loaded loaded = load_file(path_ / "spec/safe.yaml");
    expect_refused(loaded, "link.yaml leads out of the spec's own directory");
    EXPECT_EQ(loaded.diagnostics.size(), 2U) << test::told(loaded);
    EXPECT_EQ(test::told(loaded).find("s3cret"), std::string::npos) << "what lies outside is not shown";
}

TEST_F(Directory, FilesTogetherAreBounded) {
    write("safe.yaml", "version: 1\nsafe: atlas\ninclude: [more]\n");
    std::string comment;
    while (comment.size() < Bounds::bytes / 4) comment += "# " + std::string(97, 'x') + "\n";
    for (const char* const name : {"a", "b", "c", "d"})
        write("more/" + std::string(name) + ".yaml", "vms: {}\n" + comment);
    expect_refused(load(), "the files of a spec have more than 4194304 bytes together");
    fs::remove_all(path_ / "more");
    for (std::size_t i = 0; i <= Bounds::files; ++i) write("more/" + std::to_string(i) + ".yaml", "vms: {}\n");
    expect_refused(load(), "the spec is made of more than 1000 files");
}

TEST_F(Directory, DigestCoversEveryFile) {
    write("safe.yaml", "version: 1\nsafe: atlas\ninclude: [more]\n");
    write("more/a.yaml", "vms: {}\n");
    const std::string before = load().spec->digest;
    write("more/a.yaml", "vms: {} # the same\n");
    const std::string after = load().spec->digest;
    EXPECT_NE(before, after);
    fs::rename(path_ / "more/a.yaml", path_ / "more/b.yaml");
    EXPECT_NE(load().spec->digest, after);
}

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    all.reserve(text.size() * times);
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

TEST(Loader, ShowsABoundedNumberOfFaults) {
    std::string rules = "version: 1\nsafe: a\nnetwork: { bridge: b, address: 10.0.0.1/8 }\nfirewall:\n";
    for (int i = 0; i < 1500; ++i)
        rules += "  r" + std::to_string(i) + ": { from: 10.0.0.1, to: 10.0.0.1, allow: [icmp] }\n";
    const Loaded warned = load_text(rules, "safe.yaml");
    EXPECT_TRUE(warned.spec) << "warnings refuse nothing, however many";
    ASSERT_EQ(warned.diagnostics.size(), Bounds::diagnostics + 1);
    EXPECT_EQ(to_text(warned.diagnostics.back()), "safe.yaml: warning: 500 more are not shown");
    const Loaded refused = load_text(rules + "mode: never\n", "safe.yaml");
    EXPECT_FALSE(refused.spec);
    expect_refused(refused, "mode: never is not one of");
    EXPECT_EQ(to_text(refused.diagnostics.back()), "safe.yaml: error: 501 more are not shown");
}

std::string billion_laughs() {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 20; ++i) {
        const std::string last = std::to_string(i - 1);
        text +=
            "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + last + repeated(", *a" + last, 8) + "]\n";
    }
    return text;
}

std::string chain_of_aliases() {
    std::string text = "a0: &a0 [x]\n";
    for (int i = 1; i < 100; ++i) {
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
    }
    return text;
}

std::string staircase() {
    std::string text;
    for (std::size_t i = 0; i < 2000; ++i) text += std::string(i, ' ') + "a:\n";
    return text;
}

std::string random_bytes() {
    std::string text(Bounds::bytes, '\0');
    std::mt19937 numbers(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same garbage every time
    for (char& c : text) c = static_cast<char>(numbers());
    return text;
}

std::string numbered(std::string_view head, std::string_view before, std::string_view after, int count) {
    std::string text(head);
    for (int i = 0; i < count; ++i) text.append(before).append(std::to_string(i)).append(after);
    return text;
}

constexpr std::string_view firewall = "version: 1\nsafe: a\nnetwork: { bridge: b, address: 10.0.0.1/8 }\nfirewall:\n";

struct Hostile {
    std::string name;
    std::string (*text)();
    std::string why;
};

void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }

/// Every one of them would cost a parser, or a careless validator, its stack, its memory or its afternoon.
std::vector<Hostile> hostile_texts() {
    return {
        {"TooLarge", [] { return std::string(Bounds::bytes + 1, '#'); }, "more than 4194304 bytes"},
        {"RandomBytes", random_bytes, "the file contains"},
        {"BillionLaughs", billion_laughs, "more than 200000 keys and values"},
        {"ChainOfAliases", chain_of_aliases, "more than 32 deep"},
        {"ManyAliases", [] { return "a: &a x\nb: [" + repeated("*a,\n", 150'000) + "]\n"; }, "unknown key b"},
        {"ManyAnchors", [] { return "a: " + repeated("&a ", 40'000) + "\n"; }, "cannot assign multiple anchors"},
        {"Staircase", staircase, "more than 32 deep"},
        {"Brackets", [] { return repeated("[", 100'000); }, "more than 32 deep"},
        {"BracketsOnLines", [] { return repeated("[\n", 400'000); }, "more than 32 deep"},
        {"BracesOnALine", [] { return repeated("{", 400'000) + "\n"; }, "a line has more than"},
        {"Dashes", [] { return repeated("- ", 60'000) + "\n"; }, "more than 32 deep"},
        {"QuestionMarks", [] { return repeated("? ", 60'000) + "\n"; }, "more than 32 deep"},
        {"MoreBrackets", [] { return repeated("[", 2'000'000); }, "brackets, commas, quotes"},
        {"Quotes", [] { return "[" + repeated("\"\"", 1'000'000); }, "brackets, commas, quotes"},
        {"Keys", [] { return numbered("", "k", ": v\n", 150'000); }, "more than 200000 keys and values"},
        {"EmptyLinesInABlock", [] { return "a: |\n" + repeated("\n", Bounds::bytes - 10); }, "unknown key a"},
        {"EmptyLinesInQuotes", [] { return "a: \"" + repeated("\n", Bounds::bytes - 10); }, "inside a text in quotes"},
        {"EmptyLines", [] { return repeated("\n", Bounds::bytes); }, "the file holds nothing"},
        {"LinesOfText", [] { return "a: b\n" + repeated(" b\n", 1'000'000); }, "more than 65536 bytes"},
        {"LongText", [] { return "a: " + std::string(70'000, 'x') + "\n"; }, "more than 65536 bytes"},
        {"Documents", [] { return repeated("---\n", 1'000'000); }, "the document ended before this"},
        {"Directives", [] { return repeated("%x\n", 1'000'000); }, "directive"},
        {"Strangers", [] { return numbered(firewall, "  r", ": { from: v, to: w, allow: [icmp] }\n", 18'000); },
         "no VM, zone or address is called v"},
        {"Shadows",
         [] {
             return numbered(firewall, "  r", ": { from: 10.0.0.0/8, to: 192.0.2.1, allow: [icmp] }\n", 16'000) +
                    "x: y\n";
         },
         "unknown key x"},
        {"Volumes",
         [] { return numbered("version: 1\nsafe: a\nvolumes:\n", "  v", ": { role: data, file: /x }\n", 30'000); },
         "would be the same storage as v0"},
        {"Members", [] { return numbered("version: 1\nsafe: a\nusers:\n", "  u", ": { name: U }\n", 40'000); },
         "there are 40000 members"},
        {"DistinguishedName",
         [] {
             const std::string value = repeated("\\2c", 160);  // as long as allowed, and wrong only at its end
             return "version: 1\nsafe: a\ndirectory: { base: 'cn=" + value + "+' }\n";
         },
         "is not a distinguished name"},
        {"NoVms", [] { return numbered("vms:\n", "  v", ": x\n", 40'000); }, "a mapping is wanted here"},
    };
}

class HostileText : public testing::TestWithParam<Hostile> {};

TEST_P(HostileText, IsRefusedInBoundedTime) {
    const std::string text = GetParam().text();
    const auto start = std::chrono::steady_clock::now();
    expect_refused(load_text(text, "/srv/safe.yaml"), GetParam().why);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    // Under a second when optimized; this also runs unoptimized, under sanitizers and beside others.
    EXPECT_LT(taken.count(), 30.0);
}

std::string name_of_hostile(const testing::TestParamInfo<Hostile>& parameter) { return parameter.param.name; }

INSTANTIATE_TEST_SUITE_P(Specs, HostileText, testing::ValuesIn(hostile_texts()), name_of_hostile);

}  // namespace
}  // namespace safe::specs
