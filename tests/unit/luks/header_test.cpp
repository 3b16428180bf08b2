// Headers as bytes and as meaning, without libcryptsetup: what is read, what is believed, and what the policy says.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/header_store.hpp"
#include "plugins/luks/revocation.hpp"
#include "plugins/luks/tokens.hpp"
#include "tests/support/luks/sample_header.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::test {
namespace {

using luks::Copies;
using luks::Header;
using luks::Json;

Copies read(const std::string& image) {
    return luks::read_copies([&](std::uint64_t offset, std::uint64_t size) {
               return base::Result<std::string>(offset < image.size() ? image.substr(offset, size) : std::string());
           })
        .value();
}

TEST(HeaderImage, WhatIsRenderedIsReadBack) {
    const Header header = sample_header();
    const Copies copies = read(luks::render_both(header).value());
    ASSERT_TRUE(copies.sound()) << copies.primary_fault << copies.secondary_fault;
    EXPECT_EQ(*copies.header, header);
    EXPECT_TRUE(luks::faults_of(*copies.header).empty()) << luks::faults_of(*copies.header).front();
}

TEST(HeaderImage, KeyslotsEndLongBeforeTheAreasAndNeverBehindThem) {
    Header header = sample_header();
    EXPECT_EQ(luks::end_of_areas(header), 16 * luks::mebibyte);
    EXPECT_EQ(luks::end_of_keyslots(header), 32768U + 258048U);
    header.metadata["keyslots"]["7"] = header.metadata["keyslots"]["0"];
    header.metadata["keyslots"]["7"]["area"]["offset"] = "18446744073709551615";
    EXPECT_LE(luks::end_of_keyslots(header), luks::end_of_areas(header));
    header.metadata["keyslots"] = Json::object();
    EXPECT_EQ(luks::end_of_keyslots(header), 2 * header.copy_size);
}

TEST(HeaderImage, AnyChangedByteOfOneCopyIsNoticedAndTheOtherCounts) {
    const std::string good = luks::render_both(sample_header()).value();
    const std::uint64_t copy = sample_header().copy_size;
    rc::check([&] {
        std::string image = good;
        const auto at = *rc::gen::inRange<std::size_t>(0, image.size());
        const auto flip = *rc::gen::inRange(1, 256);
        image[at] = static_cast<char>(static_cast<unsigned char>(image[at]) ^ static_cast<unsigned>(flip));
        const Copies copies = read(image);
        RC_ASSERT(copies.header.has_value());
        RC_ASSERT(copies.header->metadata == sample_header().metadata);
        RC_ASSERT((at < copy ? copies.primary_fault : copies.secondary_fault) != "");
        RC_ASSERT((at < copy ? copies.secondary_fault : copies.primary_fault) == "");
    });
}

TEST(HeaderImage, TheNewerCopyCountsAndTwoOfOneAgeMustAgree) {
    Header newer = sample_header();
    ++newer.sequence;
    newer.metadata["tokens"]["5"] = luks::provisioning_token();
    const std::string first = luks::render(sample_header(), luks::Copy::primary).value();
    Copies copies = read(first + luks::render(newer, luks::Copy::secondary).value());
    ASSERT_TRUE(copies.header);
    EXPECT_EQ(copies.header->sequence, newer.sequence);
    EXPECT_FALSE(copies.sound());
    newer.sequence = sample_header().sequence;
    copies = read(first + luks::render(newer, luks::Copy::secondary).value());
    EXPECT_FALSE(copies.header) << "neither is believed";
    EXPECT_TRUE(copies.any_magic);
}

TEST(HeaderImage, MetadataThatTwoParsersCouldReadDifferentlyIsRefused) {
    const std::string sound = sample_header().metadata.dump();
    for (const std::string& metadata :
         {std::string(R"({"keyslots":{},"keyslots":{}})"), " " + sound, sound + std::string("\0x", 2), sound + "x",
          std::string("[]"), std::string("{\"a\":") + std::string(100, '[') + std::string(100, ']') + "}",
          std::string("{\"a\":\"\xff\"}"), std::string()}) {
        const std::string image = with_metadata(sample_header(), metadata);
        const Copies copies = read(image);
        EXPECT_FALSE(copies.header) << metadata.substr(0, 40);
        EXPECT_EQ(copies.primary_fault.find("checksum"), std::string::npos) << "the metadata is what is refused";
    }
    EXPECT_TRUE(read(with_metadata(sample_header(), sound)).header) << "the forger's checksums are right";
}

/// {"0":0,"1":0,…}
std::string object_of(std::size_t keys) {
    std::string object = "{";
    for (std::size_t i = 0; i < keys; ++i) object += fmt::format("{}\"{:x}\":0", i == 0 ? "" : ",", i);
    return object + "}";
}

TEST(HeaderImage, MetadataThatIsMadeToKeepUsBusyIsGivenUp) {
    Header large = sample_header();
    large.copy_size = 4 * luks::mebibyte;
    const auto fault_of = [&](const std::string& metadata) {
        const Copies copies = read(with_metadata(large, metadata));
        return copies.header ? std::string() : copies.primary_fault;
    };
    EXPECT_EQ(fault_of(object_of(400'000)), "its metadata has more than 65536 values");
    std::string array = "{\"a\":[0";
    for (int i = 0; i < 2'000'000; ++i) array += ",0";
    EXPECT_EQ(fault_of(array + "]}"), "its metadata has more than 65536 values");
    const std::string open(1'000'000, '[');
    const std::string close(1'000'000, ']');
    EXPECT_EQ(fault_of("{\"a\":" + open + close + "}"), "its metadata is nested more than 32 deep");
    EXPECT_EQ(fault_of("{\"a\":{\"b\":0,\"b\":0}}"), "its metadata has a key twice");
}

TEST(HeaderImage, WhatAnotherToolMayHavePutIntoATokenIsRead) {
    Header large = sample_header();
    large.copy_size = 4 * luks::mebibyte;
    large.metadata["config"]["json_size"] = std::to_string(large.copy_size - luks::binary_size);
    large.metadata["config"]["keyslots_size"] = "8388608";
    large.metadata["keyslots"]["0"]["area"]["offset"] = std::to_string(2 * large.copy_size);
    Json& token = large.metadata["tokens"]["9"] = {{"type", "another"}, {"keyslots", Json::array()}};
    token["many"] = Json::parse(object_of(4096));
    token["bytes"] = std::vector<int>(4096, 255);
    for (int depth = 0; depth < 28; ++depth) token["deep"] = Json::array({token["deep"]});
    const Copies copies = read(luks::render_both(large).value());
    ASSERT_TRUE(copies.sound()) << copies.primary_fault;
    EXPECT_EQ(copies.header->metadata, large.metadata);
    EXPECT_TRUE(luks::faults_of(*copies.header).empty()) << luks::faults_of(*copies.header).front();
}

TEST(HeaderPolicy, KeyslotsByTheThousandAreOneFaultAndNotOneAPair) {
    Header header = sample_header();
    for (int slot = 1; slot < 2000; ++slot)
        header.metadata["keyslots"][std::to_string(slot)] = header.metadata["keyslots"]["0"];
    EXPECT_LT(luks::faults_of(header).size(), 5U);
}

TEST(HeaderPolicy, AKeyslotHasOneOwner) {
    const auto faults = [](const Json& token) {
        Header header = sample_header();  // alice in slot 0
        header.metadata["tokens"]["9"] = token;
        return luks::faults_of(header);
    };
    EXPECT_FALSE(faults(luks::user_token("zoe", 1, {0})).empty()) << "revoking zoe would take alice's key";
    EXPECT_FALSE(faults(luks::user_token("alice", 2, {0})).empty());
    EXPECT_FALSE(faults({{"type", "safe-user"}, {"keyslots", {"0"}}}).empty()) << "whoever's it is";
    EXPECT_TRUE(faults({{"type", "another"}, {"keyslots", {"0"}}}).empty()) << "which says nothing of owners";
    EXPECT_TRUE(faults(luks::user_token("zoe", 1, {})).empty()) << "unfinished";
    Header header = sample_header();
    header.metadata["tokens"]["1"] = luks::user_token("alice", 1, {0, 0});
    EXPECT_FALSE(luks::faults_of(header).empty());
}

TEST(HeaderPolicy, NoHostileNumberGetsThrough) {
    const auto refused = [](const std::function<void(Json&)>& change) {
        Header header = sample_header();
        change(header.metadata);
        return !luks::faults_of(header).empty();
    };
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["0"]["kdf"]["time"] = -1; }));
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["0"]["kdf"]["time"] = 4.5; }));
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["0"]["kdf"]["time"] = 18446744073709551615ULL; }));
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["0"]["key_size"] = 1; }));
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["32"] = m["keyslots"]["0"]; }));
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["00"] = m["keyslots"]["0"]; }));
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["1"] = m["keyslots"]["0"]; })) << "one on top of the other";
    EXPECT_TRUE(refused([](Json& m) { m["keyslots"]["0"]["area"]["size"] = "99999999999999999999"; }));
    EXPECT_TRUE(refused([](Json& m) { m["config"]["keyslots_size"] = "9223372036854775807"; }));
    EXPECT_TRUE(refused([](Json& m) { m["tokens"]["0"] = {{"type", "x"}, {"keyslots", {"31"}}}; }));
    EXPECT_TRUE(refused([](Json& m) { m["tokens"]["0"] = "text"; }));
    EXPECT_TRUE(refused([](Json& m) { m["segments"]["0"]["sector_size"] = 3; }));
    EXPECT_TRUE(refused([](Json& m) { m["extra"] = Json::object(); }));
    EXPECT_TRUE(refused([](Json& m) { m.erase("digests"); }));
    EXPECT_TRUE(refused([](Json& m) { m["config"]["requirements"] = "none"; }));
}

TEST(Tokens, AForgedCostOrSaltIsNoToken) {
    Header header = sample_header();
    ASSERT_TRUE(luks::vault_token(header));
    const auto id = luks::tokens_of(header, "safe-vault").front();
    for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{{"memory", 1},
                                                                              {"memory", 1ULL << 60U},
                                                                              {"passes", 0},
                                                                              {"passes", 1000000},
                                                                              {"salt", "00"},
                                                                              {"salt", "zz"},
                                                                              {"memory", "32MiB"},
                                                                              {"passes", -4}}) {
        Header forged = header;
        forged.metadata["tokens"][id][key] = value;
        EXPECT_FALSE(luks::vault_token(forged)) << key << value;
    }
    header.metadata["tokens"]["9"] = header.metadata["tokens"][id];
    EXPECT_FALSE(luks::vault_token(header)) << "which of two would count?";
}

TEST(Record, EveryDifferenceIsNamedAndEqualIsSilent) {
    const Header header = sample_header();
    const luks::Record record = luks::record_of(header, std::nullopt);
    EXPECT_TRUE(luks::differences(header, record).empty());
    const auto said = [&](const std::function<void(Header&)>& change) {
        Header changed = header;
        change(changed);
        const auto found = luks::differences(changed, record);
        return found.empty() ? std::string() : found.front();
    };
    EXPECT_NE(said([](Header& h) { h.uuid[0] = 'f'; }).find("UUID"), std::string::npos);
    EXPECT_NE(said([](Header& h) { --h.sequence; }).find("an older one"), std::string::npos);
    EXPECT_NE(said([](Header& h) { ++h.sequence; }).find("written again"), std::string::npos);
    EXPECT_EQ(said([](Header& h) { h.metadata["tokens"].erase("0"); }), "token 0 is gone");
    EXPECT_EQ(said([](Header& h) { h.metadata["keyslots"]["7"] = Json::object(); }), "keyslot 7 is new");
    EXPECT_EQ(said([](Header& h) { h.metadata["digests"]["0"]["digest"] = "x"; }), "the volume key 0 is another");
    EXPECT_EQ(said([](Header& h) { h.metadata["segments"]["0"]["encryption"] = "x"; }), "data segment 0 is another");
}

TEST(Record, ADamagedOneIsAnErrorAndNeverNone) {
    const testing::TemporaryDirectory folder;
    const luks::HeaderStore store(folder.path());
    EXPECT_FALSE(store.record().value());
    const luks::Record record = luks::record_of(sample_header(), std::nullopt);
    ASSERT_TRUE(store.announce(record));
    EXPECT_FALSE(store.record().value());
    ASSERT_TRUE(store.commit());
    EXPECT_EQ(store.record().value(), record);
    EXPECT_FALSE(store.pending().value());
    std::filesystem::permissions(folder.path() / "record.json", std::filesystem::perms(0666));
    EXPECT_FALSE(store.record()) << "anybody may have written it";
    std::filesystem::permissions(folder.path() / "record.json", std::filesystem::perms(0600));
    std::filesystem::resize_file(folder.path() / "record.json", 20);
    EXPECT_FALSE(store.record());
}

TEST(Backups, WhatWasJustWrittenStaysAndAFormerVolumesCountForThemselves) {
    const testing::TemporaryDirectory folder;
    const luks::HeaderStore store(folder.path());
    const auto back_up = [&](char uuid, std::uint64_t sequence) {
        Header header = sample_header();
        header.uuid[0] = uuid;
        header.sequence = sequence;
        ASSERT_TRUE(store.back_up(luks::render_both(header).value(), sequence));
    };
    const auto there = [&](std::uint64_t sequence) {
        return std::filesystem::exists(folder.path() / fmt::format("backup-{}.img", sequence));
    };
    for (std::uint64_t sequence = 50; sequence < 58; ++sequence) back_up('f', sequence);
    EXPECT_EQ(store.best_copy().filename(), "backup-57.img") << "nothing is on record";
    for (std::uint64_t sequence = 7; sequence < 20; ++sequence) {
        back_up('0', sequence);
        EXPECT_TRUE(there(sequence)) << sequence;
    }
    EXPECT_FALSE(there(11)) << "eight are kept";
    EXPECT_TRUE(there(12));
    EXPECT_TRUE(there(50) && there(57)) << "another's do not make room for it";
    for (std::uint64_t sequence = 2; sequence < 5; ++sequence) back_up('0', sequence);
    EXPECT_TRUE(there(2) && there(3) && there(4)) << "whatever its sequence, nor is it gone with the next";
    EXPECT_TRUE(there(12) && there(19)) << "somebody may have put an old header there";

    ASSERT_TRUE(store.announce(luks::record_of(sample_header(), std::nullopt)));
    EXPECT_EQ(store.best_copy().filename(), "backup-19.img") << "of the volume that will be on record";
    ASSERT_TRUE(store.commit());
    EXPECT_EQ(store.best_copy().filename(), "backup-19.img");
    Header other = sample_header();
    other.uuid[0] = 'f';
    ASSERT_TRUE(store.keep(luks::render_both(other).value()));
    EXPECT_EQ(store.best_copy().filename(), "backup-19.img") << "another volume's header.img is no better";
    ASSERT_TRUE(store.keep(luks::render_both(sample_header()).value()));
    EXPECT_EQ(store.best_copy().filename(), "header.img");
}

TEST(Revocation, WhatMustStayIsCountedByTokenAndByRecord) {
    Header header = sample_header();  // alice in slot 0
    luks::Record record = luks::record_of(header, std::nullopt);
    specs::UserSpec alice;
    alice.name = "alice";
    alice.super = {true};
    EXPECT_TRUE(luks::loss(header, record, {0}, {alice}));
    EXPECT_TRUE(luks::loss(header, record, {0}, {}));
    header.metadata["keyslots"]["1"] = header.metadata["keyslots"]["0"];
    EXPECT_TRUE(luks::loss(header, record, {0}, {})) << "slot 1 is nobody's";
    record.slots["1"] = "bob";
    EXPECT_FALSE(luks::loss(header, record, {0}, {})) << "bob's by record, though his token vanished";
    EXPECT_TRUE(luks::loss(header, record, {0}, {alice})) << "bob is no super-user";
    EXPECT_FALSE(luks::loss(header, record, {1}, {alice}));
    EXPECT_EQ(luks::slots_owned(header, record, "bob"), std::vector{1});
}

}  // namespace
}  // namespace safe::test
