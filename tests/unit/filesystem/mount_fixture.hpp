// The driver of mounts over a system in memory, with the volumes of a sample safe: what the tests of this folder share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "plugins/filesystem/filesystem_driver.hpp"
#include "plugins/filesystem/provisioning.hpp"
#include "reconciler/planning/difference.hpp"
#include "tests/support/filesystem/fake_system.hpp"
#include "tests/support/filesystem/sample_volumes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::filesystem {

namespace fs = std::filesystem;
using model::Absent;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Presence;
using model::Present;
using model::ResourceId;
using test::FakeSystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class DriverOfMounts : public ::testing::Test {
 protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "owners of directories are set: needs root";
        system = std::make_shared<FakeSystem>(directory.path() / "shelf");
        for (const char* volume : {"vault", "data", "reference", "disks"}) add_device(volume, "ext4");
        system->devices.at(places.mapped("reference")).write_protected = true;
        restart();
    }

    void add_device(const std::string& volume, const std::string& type) {
        const auto number = makedev(253, static_cast<unsigned>(system->devices.size()));
        const Content content = type.empty() ? Content{} : Content{Content::What::filesystem, type};
        system->devices[places.mapped(volume)] = {.number = number, .content = content, .used = !type.empty()};
    }

    FakeSystem::Device& device(const std::string& volume) { return system->devices.at(places.mapped(volume)); }

    /// What a process that starts anew sees.
    void restart() { driver = std::move(make_drivers({.spec = spec, .places = places, .keys = keys}, system).front()); }

    void mark(const std::string& volume) {
        fs::create_directories(marker_of(places, volume).parent_path());
        std::ofstream(marker_of(places, volume)).flush();
    }

    static ResourceId id(const std::string& volume) { return make_id(Kind::mount, volume); }

    model::Resource wanted(const std::string& volume, Mode mode = Mode::open) {
        for (const model::Resource& resource : driver->desire(spec, mode).resources)
            if (resource.id == id(volume)) return resource;
        throw std::runtime_error("not declared: " + volume);
    }

    model::Observation seen(const std::string& volume) {
        return driver->observe({{id(volume)}, false}, {}).observations.at(id(volume));
    }

    bool as_wanted(const std::string& volume, Mode mode = Mode::open) {
        const model::Resource resource = wanted(volume, mode);
        const model::Observation now = seen(volume);
        if (resource.presence == Presence::absent) return std::holds_alternative<Absent>(now);
        const auto* present = std::get_if<Present>(&now);
        return present != nullptr && present->attributes == resource.attributes;
    }

    base::Result<void> bring_about(const std::string& volume, Mode mode = Mode::open) {
        const model::Resource resource = wanted(volume, mode);
        const model::Observation now = seen(volume);
        model::Step step;
        step.resource = resource.id;
        if (resource.presence == Presence::absent) {
            if (std::holds_alternative<Absent>(now)) return {};
            step.action = model::Action::remove;
        } else if (std::holds_alternative<Present>(now)) {
            if (as_wanted(volume, mode)) return {};
            step.action = model::Action::change;
        }
        return driver->apply(step, resource, now, {});
    }

    static mode_t mode_of(const fs::path& path) {
        struct stat status{};
        if (::lstat(path.c_str(), &status) != 0) return 0;
        return status.st_mode & 07777;
    }

    ::safe::testing::TemporaryDirectory directory;
    specs::SafeSpec spec = test::sample_volumes();
    driver::Places places{"atlas", directory.path() / "state", directory.path() / "run", directory.path() / "srv"};
    driver::KeyRing keys;
    std::shared_ptr<FakeSystem> system;
    std::unique_ptr<driver::Driver> driver;
};

}  // namespace safe::filesystem
