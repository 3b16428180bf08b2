#include "specs/ssh_key.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <regex>
#include <string>
#include <vector>

namespace safe::specs {
namespace {

const std::string base64 = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

TEST(SshKey, IsTypeKeyAndComment) {
    const std::string text = "ssh-ed25519 " + base64 + " alice@laptop, new";
    const auto key = split_ssh_key(text);
    ASSERT_TRUE(key);
    EXPECT_EQ(key->type, "ssh-ed25519");
    EXPECT_EQ(key->base64, base64);
    EXPECT_EQ(key->comment, "alice@laptop, new");
    EXPECT_FALSE(ssh_key_fault(*key));
    const std::string without = "ssh-ed25519 " + base64;
    ASSERT_TRUE(split_ssh_key(without));
    EXPECT_EQ(split_ssh_key(without)->comment, "");
}

TEST(SshKey, HasNoOptionsAndIsOneLine) {
    for (const std::string& text : std::vector<std::string>{
             "command=\"/bin/sh\" ssh-ed25519 " + base64, "restrict,pty ssh-ed25519 " + base64,
             " ssh-ed25519 " + base64, "ssh-ed25519 " + base64 + "\ncommand=\"x\" ssh-ed25519 " + base64,
             "ssh-ed25519 " + base64 + "\r", "ssh-ed25519\t" + base64, "ssh-ed25519  " + base64, "ssh-dss " + base64,
             "ssh-ed25519", base64, "ssh-ed25519 " + std::string(ssh_key_longest, 'A')}) {
        EXPECT_FALSE(split_ssh_key(text)) << text;
    }
}

/// A type, then pieces of what a key is made of: near enough to keys that both verdicts occur.
TEST(SshKey, IsWhatThePatternSays) {
    const std::regex pattern{std::string(ssh_key_pattern)};
    EXPECT_TRUE(rc::check("pattern", [&] {
        const auto part = rc::gen::element<std::string>("ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com",
                                                        "ssh-dss", "ecdsa-sha2-nistp384", " ", " ", "AAAA", "+/", "=",
                                                        "\n", "!", "\x7f", "\xC3\xA9");
        std::string text = *rc::gen::element<std::string>("ssh-ed25519 A", "ssh-rsa ", "");
        for (const std::string& one : *rc::gen::container<std::vector<std::string>>(part)) text += one;
        const bool is_key = split_ssh_key(text).has_value();
        RC_CLASSIFY(is_key);
        RC_ASSERT(std::regex_match(text, pattern) == is_key);
    }));
}

/// Whatever stands for base64: a verdict, and no key with anything changed inside its frame is sound.
TEST(SshKey, IsSoundInsideOrNot) {
    EXPECT_TRUE(rc::check("cut", [&] {
        const auto size = *rc::gen::inRange<std::size_t>(1, base64.size());
        const std::string text = "ssh-ed25519 " + base64.substr(0, size);
        const auto key = split_ssh_key(text);
        RC_ASSERT(key.has_value());
        RC_ASSERT(ssh_key_fault(*key).has_value());
    }));
    EXPECT_TRUE(rc::check("any", [&] {
        const std::string text =
            "ssh-rsa " + *rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::element('A', 'B', '/', '8', 'z')));
        const auto key = split_ssh_key(text);
        RC_ASSERT(key.has_value());
        RC_ASSERT(ssh_key_fault(*key).has_value());
    }));
}

}  // namespace
}  // namespace safe::specs
