// What cloud-init is told: the files, the file system they are in as others read it, and the store they are kept in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/libvirt_driver.hpp"
#include "plugins/libvirt/seed_image.hpp"
#include "plugins/libvirt/seed_store.hpp"
#include "reconciler/base/process.hpp"
#include "specs/identity.hpp"
#include "tests/support/libvirt/sample_safe.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using model::Branch;
using nlohmann::json;
using ::testing::HasSubstr;

/// The sample with a data volume that desk mounts, on an image with cloud-init; and two people.
specs::SafeSpec sample(const fs::path& user_data) {
    specs::SafeSpec spec = test::sample_safe();
    for (const auto& [name, role] : {std::pair{"vault", specs::VolumeRole::vault},
                                     {"data", specs::VolumeRole::data},
                                     {"old", specs::VolumeRole::data}}) {
        specs::VolumeSpec volume;
        volume.name = name;
        volume.role.value = role;
        volume.access.value = name == std::string("old") ? specs::Access::read_only : specs::Access::read_write;
        spec.volumes.push_back(volume);
    }
    specs::VmSpec& desk = spec.vms.at(1);
    desk.boot.reset();
    desk.image = spec.vms.at(0).image;
    desk.mounts = {{.path = {"/data"}, .volume = {"data"}}, {.path = {"/srv/old"}, .volume = {"old"}}};
    desk.cloud_init = specs::CloudInitSpec{.at = {"safe.yaml", 7, 5}, .user_data = std::nullopt};
    if (!user_data.empty())
        desk.cloud_init->user_data =
            specs::Located{specs::FilePath{user_data.string(), user_data.string()}, {"safe.yaml", 7, 9}};
    specs::UserSpec alice;
    alice.name = "alice";
    alice.super.value = true;
    alice.ssh_keys = {{"ssh-ed25519 AAAAalice one"}, {"ssh-ed25519 AAAAalice \"two\" \u00e9"}};
    specs::UserSpec bob;
    bob.name = "bob";
    bob.ssh_keys = {{"ssh-ed25519 AAAAbob"}};
    spec.users = {alice, bob};
    return spec;
}

const Layout layout("t", "/s", Keep{.mounts = "/srv/safe/t"});  // NOLINT(cert-err58-cpp)

std::map<std::string, std::string> files_of(const fs::path& user_data, const std::optional<std::string>& content) {
    const specs::SafeSpec spec = sample(user_data);
    return seed_files(wanted_seed(spec, spec.vms.at(1), layout), content);
}

TEST(Seed, TellsAGuestWhoItIsWhatItMountsAndWhoseKeysOpenIt) {
    const auto files = files_of("/srv/t/desk.yaml", "#cloud-config\n{}\n");
    EXPECT_EQ(files.at("meta-data"), R"({
  "instance-id": ")" + specs::uuid_of("t", "desk") +
                                         R"(-9128736ca5f98c3f",
  "local-hostname": "t-desk",
  "safe": {
    "client": ")" + specs::uuid_of("t", "desk") +
                                         R"(",
    "mounts": [
      {
        "path": "/data",
        "read-only": false,
        "source": "10.77.0.1:/srv/safe/t/data"
      },
      {
        "path": "/srv/old",
        "read-only": true,
        "source": "10.77.0.1:/srv/safe/t/old"
      }
    ],
    "super-users": [
      "ssh-ed25519 AAAAalice one",
      "ssh-ed25519 AAAAalice \"two\" \u00e9"
    ]
  }
}
)") << "members who are no super-users come in by the directory alone";
    EXPECT_EQ(files.size(), 3U);
}

TEST(Seed, UserDataIsHandedOverAsItIsAndMakesAnotherInstance) {
    const std::string user_data("#cloud-config\nruncmd: [[\"true\"]]\n\0\xFF", 35);
    const auto files = files_of("/srv/t/desk.yaml", user_data);
    EXPECT_EQ(files.at("user-data"), user_data);
    const auto none = files_of("", std::nullopt);
    EXPECT_EQ(none.at("user-data"), "#cloud-config\n{}\n");
    EXPECT_NE(json::parse(files.at("meta-data"))["instance-id"], json::parse(none.at("meta-data"))["instance-id"]);
    EXPECT_EQ(files.at("vendor-data"), none.at("vendor-data")) << "no text of a spec is part of a program";
    EXPECT_TRUE(files.at("vendor-data").starts_with("#cloud-boothook\n#!/usr/bin/python3\n"));
}

TEST(Seed, AnotherKeyOrMountIsNoOtherInstance) {
    specs::SafeSpec spec = sample("");
    const auto id = [&] {
        return json::parse(seed_files(wanted_seed(spec, spec.vms.at(1), layout), {}).at("meta-data"))["instance-id"];
    };
    const json before = id();
    spec.users.at(0).ssh_keys.pop_back();
    spec.vms.at(1).mounts.pop_back();
    EXPECT_EQ(id(), before) << "what is done once at first boot would be done again";
}

TEST(Seed, KnowsUserDataByItsBeginning) {
    for (const char* known : {"#cloud-config\n", "#!/bin/sh\n", "#include x", "Content-Type: multipart/mixed",
                              "\x1F\x8B.", "## template: jinja\n#cloud-config\n", "#cloud-config-archive\n"})
        EXPECT_TRUE(is_known_user_data(known)) << known;
    for (const char* other : {"", "users: []\n", " #cloud-config", "#cloudconfig"})
        EXPECT_FALSE(is_known_user_data(other));
}

std::string output_of(const std::vector<std::string>& arguments) {
    const base::Result<base::Finished> finished = base::run_process(arguments);
    if (!finished) throw std::runtime_error(to_text(finished.error()));
    EXPECT_EQ(finished->status, 0) << finished->errors;
    return finished->output;
}

void write(const fs::path& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(SeedImage, OthersReadWhatIsInItAndCloudInitFindsItByItsLabel) {
    const testing::TemporaryDirectory home;
    const std::string large(std::size_t{1} << 20, 'x');
    const auto image = make_seed_image({{"meta-data", "{}\n"}, {"user-data", large}, {"vendor-data", ""}}, "t/desk");
    ASSERT_TRUE(image) << to_text(image.error());
    EXPECT_EQ(image->size() % 2048, 0U);
    const std::string file = (home.path() / "seed.iso").string();
    write(file, *image);
    const std::string seen = output_of({"blkid", "-p", "-o", "export", file});
    EXPECT_THAT(seen, HasSubstr("LABEL=CIDATA\n"));
    EXPECT_THAT(seen, HasSubstr("TYPE=iso9660\n"));
    EXPECT_THAT(seen, HasSubstr("APPLICATION_ID=T/DESK\n"));
    EXPECT_EQ(output_of({"bsdtar", "-xOf", file, "meta-data"}), "{}\n");
    EXPECT_EQ(output_of({"bsdtar", "-xOf", file, "user-data"}), large);
    EXPECT_EQ(output_of({"bsdtar", "-xOf", file, "vendor-data"}), "");
    const std::string listed = output_of({"bsdtar", "-tvf", file});
    EXPECT_THAT(listed, HasSubstr("-r--------"));
    EXPECT_THAT(listed, ::testing::Not(HasSubstr("boot"))) << "nothing but what was asked for";
}

TEST(SeedImage, TheSameFilesGiveTheSameBytesWheneverAndWherever) {
    const std::map<std::string, std::string> files{{"meta-data", "a"}, {"user-data", "b"}};
    const auto first = make_seed_image(files, "t/desk");
    ASSERT_TRUE(first);
    ::setenv("TZ", "Pacific/Kiritimati", 1);
    ::tzset();
    ::umask(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // another second of every clock
    const auto second = make_seed_image(files, "t/desk");
    ::unsetenv("TZ");
    ::tzset();
    ASSERT_TRUE(second);
    EXPECT_EQ(*first, *second);
    EXPECT_NE(*first, *make_seed_image({{"meta-data", "a"}, {"user-data", "c"}}, "t/desk"));
}

class Seeds : public ::testing::Test {
 protected:
    Seeds() { write(user_data_, "#cloud-config\n{}\n"); }

    [[nodiscard]] Branch wanted() const { return wanted_seed(spec_, spec_.vms.at(1), layout_); }
    ReadySeed put() const {
        auto ready = store_.prepare("desk", wanted());
        if (!ready) throw std::runtime_error(to_text(ready.error()));
        if (const auto done = store_.put("desk", *ready); !done) throw std::runtime_error(to_text(done.error()));
        return std::move(*ready);
    }
    [[nodiscard]] std::string version(const fs::path& file) const {
        const auto seen = store_.look(file);
        if (!seen) return to_text(seen.error());
        const std::string* version = model::get<std::string>(*seen, "version");
        return version != nullptr ? *version : "none";
    }

    testing::TemporaryDirectory home_;
    const fs::path user_data_ = home_.path() / "desk.yaml";
    const specs::SafeSpec spec_ = sample(user_data_);
    const Layout layout_{"t", home_.path() / "state", Keep{.mounts = "/srv/safe/t"}};
    const SeedStore store_{layout_};
};

TEST_F(Seeds, WhatWasPutIsSeenAsItWasWanted) {
    const ReadySeed seed = put();
    EXPECT_TRUE(layout_.is_seed_of("desk", seed.file));
    EXPECT_FALSE(layout_.is_seed_of("gate", seed.file));
    EXPECT_EQ(canonical_text(*store_.look(seed.file)), canonical_text(wanted()));
    EXPECT_EQ(fs::status(seed.file).permissions(), fs::perms(0600));
    const auto written = fs::last_write_time(seed.file);
    EXPECT_EQ(put().file, seed.file);
    EXPECT_EQ(fs::last_write_time(seed.file), written) << "a guest may have it open";
}

TEST_F(Seeds, AChangedFileIsOlderAndALostOneIsKept) {
    const ReadySeed first = put();
    write(user_data_, "#!/bin/sh\n");
    EXPECT_EQ(version(first.file), older_than_source);
    const ReadySeed second = put();
    EXPECT_NE(second.file, first.file);
    EXPECT_EQ(version(second.file), as_its_source);
    EXPECT_TRUE(fs::exists(first.file)) << "a guest may have been saved with it";
    fs::remove(user_data_);
    EXPECT_EQ(version(second.file), as_its_source);
}

TEST_F(Seeds, WhatIsBrokenIsSeenAndMended) {
    const ReadySeed seed = put();
    write(seed.file, "something else");
    EXPECT_EQ(version(seed.file), damaged_seed);
    put();
    EXPECT_EQ(version(seed.file), as_its_source);
    write(fs::path(seed.file).replace_extension(".json"), "{");
    EXPECT_EQ(version(seed.file), damaged_seed);
    put();
    EXPECT_EQ(version(seed.file), as_its_source);
    fs::remove(seed.file);
    EXPECT_EQ(version(seed.file), seed_is_gone);
    put();
    EXPECT_EQ(version(seed.file), as_its_source);
}

TEST_F(Seeds, SomebodyElsesFileInItsPlaceIsNotTouched) {
    const auto ready = store_.prepare("desk", wanted());
    ASSERT_TRUE(ready);
    fs::create_directories(ready->file.parent_path());
    write(ready->file, "not ours");
    EXPECT_THAT((*store_.in_the_way(*ready)).value_or(""), HasSubstr("no record of ours"));
    const auto refused = store_.put("desk", *ready);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, base::Error::Kind::refused);
    EXPECT_EQ(content_of(ready->file), "not ours");
    fs::remove(ready->file);
    fs::create_directory(ready->file);
    EXPECT_TRUE((*store_.in_the_way(*ready)).has_value());
}

TEST_F(Seeds, SweepingKeepsOneAndWhatIsNotOurs) {
    const ReadySeed first = put();
    write(user_data_, "#!/bin/sh\n");
    const ReadySeed second = put();
    const fs::path directory = first.file.parent_path();
    write(directory / ("." + first.file.filename().string() + ".new"), "cut short");
    write(directory / "notes.iso", "somebody's");
    ASSERT_TRUE(store_.sweep("desk", second.file));
    EXPECT_EQ(version(second.file), as_its_source);
    EXPECT_EQ(version(first.file), seed_is_gone);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 3);
    ASSERT_TRUE(store_.sweep("desk", {}));
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1) << "what is not ours stays";
    fs::remove(directory / "notes.iso");
    ASSERT_TRUE(store_.sweep("desk", {}));
    EXPECT_FALSE(fs::exists(directory));
    EXPECT_TRUE(store_.sweep("desk", {})) << "nothing is there";
}

TEST_F(Seeds, UserDataHasLimits) {
    write(user_data_, std::string(std::size_t{1} << 20, '#'));
    EXPECT_TRUE(store_.prepare("desk", wanted()));
    write(user_data_, std::string((std::size_t{1} << 20) + 1, '#'));
    EXPECT_THAT(to_text(store_.prepare("desk", wanted()).error()), HasSubstr("larger than 1 MiB"));
    EXPECT_THAT(to_text(read_user_data(home_.path()).error()), HasSubstr("no regular file"));
    EXPECT_THAT(to_text(read_user_data(home_.path() / "none").error()), HasSubstr("no such file"));
}

class SeedsOfVms : public Seeds {
 protected:
    [[nodiscard]] model::Snapshot look() const {
        Options options{.uri = "test:///default", .safe = "t", .state_dir = home_.path() / "state"};
        options.keep.mounts = "/srv/safe/t";
        options.keep.cloud_init["desk"] = "safe.yaml:7:9";
        for (const auto& driver : make_drivers(options)) {
            if (driver->kinds()[0] != model::Kind::vm) continue;
            const auto wanted = driver->desire(spec_, model::Mode::open).resources;
            return driver->observe({.ids = {id_}, .enumerate = true, .wanted = wanted}, {});
        }
        throw std::logic_error("no driver");
    }
    const model::ResourceId id_ = make_id(model::Kind::vm, "desk");
};

TEST_F(SeedsOfVms, UserDataThatCannotBeReadIsSaidBeforehandWithItsPlaceInTheSpec) {
    EXPECT_TRUE(std::holds_alternative<model::Absent>(look().observations.at(id_)));
    fs::remove(user_data_);
    const model::Snapshot snapshot = look();
    const auto* unknown = std::get_if<model::Unknown>(&snapshot.observations.at(id_));
    ASSERT_NE(unknown, nullptr);
    EXPECT_THAT(to_text(unknown->error), HasSubstr("desk.yaml (safe.yaml:7:9)"));
}

TEST_F(SeedsOfVms, UserDataThatCloudInitPassesOverIsSaid) {
    write(user_data_, "packages: [vim]\n");
    EXPECT_THAT(look().warnings, ::testing::Contains(HasSubstr("#cloud-config")));
}

TEST_F(SeedsOfVms, SomebodyElsesFileInItsPlaceRefusesThePlan) {
    const auto ready = store_.prepare("desk", wanted());
    fs::create_directories(ready->file.parent_path());
    write(ready->file, "not ours");
    const model::Snapshot snapshot = look();
    EXPECT_TRUE(std::holds_alternative<model::Foreign>(snapshot.observations.at(id_)));
}

}  // namespace
}  // namespace safe::libvirt
