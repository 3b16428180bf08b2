// Plays every story: the real drivers say what is wanted and what it costs, observed.yaml says what is there, and the
// plan must be the one a reviewer has agreed to. Then the plan is carried out in thought, and nothing may be left to
// do.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "plugins/builtin.hpp"
#include "reconciler/applying/driver_set.hpp"
#include "reconciler/intent/effective_mode.hpp"
#include "reconciler/planning/guards.hpp"
#include "reconciler/view/view.hpp"
#include "specs/loader.hpp"
#include "tests/golden/world.hpp"

namespace safe::testing {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

/// Equal to the file, or with SAFE_ACCEPT=1 written to it.
void expect_golden(const fs::path& file, const std::string& text) {
    if (std::getenv("SAFE_ACCEPT") != nullptr) std::ofstream(file) << text;
    EXPECT_EQ(read(file), text) << file << " says otherwise; if the new output is right: SAFE_ACCEPT=1";
}

class Story : public ::testing::TestWithParam<fs::path> {
 protected:
    void SetUp() override {
        const std::string yaml = read(GetParam() / "safe.yaml");
        // Plans must not depend on where the checkout lies.
        specs::Loaded loaded = specs::load_text(yaml, "/srv/atlas/safe.yaml");
        for (const specs::Diagnostic& diagnostic : loaded.diagnostics)
            if (diagnostic.severity == specs::Diagnostic::Severity::error) ADD_FAILURE() << to_text(diagnostic);
        ASSERT_TRUE(loaded.spec.has_value());
        spec_ = std::move(*loaded.spec);
        drivers_ = plugins::make_drivers({spec_, driver::Places(*spec_.safe, "/var/lib/safe/" + *spec_.safe), no_key_});
        mode_ = intent::effective_mode(read_mode(GetParam() / "observed.yaml").value_or(*spec_.mode));
        for (const auto& driver : drivers_) {
            driver::Desire desire = driver->desire(spec_, mode_);
            std::ranges::move(desire.refusals, std::back_inserter(refusals_));
            for (model::Resource& resource : desire.resources) desired_.emplace(resource.id, std::move(resource));
        }
    }

    planning::Question question(WrittenWorld world) const {
        planning::Question question{.safe = *spec_.safe,
                                    .mode = mode_,
                                    .spec_digest = spec_.digest,
                                    .desired = {},
                                    .observed = std::move(world.observed),
                                    .blind = std::move(world.blind),
                                    .refusals = refusals_,
                                    .notes = {}};
        for (const auto& [id, resource] : desired_) question.desired.push_back(resource);
        return question;
    }

    specs::SafeSpec spec_;
    driver::KeyRing no_key_;
    std::vector<std::unique_ptr<driver::Driver>> drivers_;
    model::Mode mode_ = model::Mode::closed;
    std::map<model::ResourceId, model::Resource> desired_;
    std::vector<model::Refusal> refusals_;
};

/// The world after the steps of `plan` have done what they say.
std::map<model::ResourceId, model::Observation> carried_out(
    const planning::Question& question, const model::Plan& plan,
    const std::map<model::ResourceId, model::Resource>& desired) {
    auto world = question.observed;
    for (const model::Step& step : plan.steps) {
        if (step.action == model::Action::remove)
            world.insert_or_assign(step.resource, model::Absent{});
        else
            world.insert_or_assign(step.resource, model::Present{.attributes = desired.at(step.resource).attributes,
                                                                 .needs = desired.at(step.resource).needs});
    }
    return world;
}

TEST_P(Story, LeadsToThePlanAReviewerHasAgreedTo) {
    planning::Question asked = question(read_world(GetParam() / "observed.yaml", desired_));
    const applying::DriverSet assessor(std::move(drivers_));
    model::Plan plan = planning::make_plan(asked, assessor);
    planning::guard(plan, {});
    expect_golden(GetParam() / "plan.txt", view::plan_text(plan, {}));
    expect_golden(GetParam() / "plan.json", view::plan_json(plan));

    asked.observed = carried_out(asked, plan, desired_);
    const model::Plan after = planning::make_plan(asked, assessor);
    if (plan.blocked.empty() && plan.refusals.empty()) {
        EXPECT_TRUE(after.steps.empty()) << "after the plan:\n" << view::plan_text(after, {});
    }
}

std::vector<fs::path> stories() {
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(SAFE_GOLDEN_DIR))
        if (fs::exists(entry.path() / "observed.yaml")) folders.push_back(entry.path());
    std::ranges::sort(folders);
    return folders;
}

TEST(Stories, AreManyAndDifferInWhatIsDoneInWhichOrder) {
    std::set<std::string> told;
    for (const fs::path& story : stories()) {
        const nlohmann::json plan = nlohmann::json::parse(read(story / "plan.json"));
        std::string steps;
        for (const auto& step : plan.at("steps"))
            steps +=
                fmt::format("{} {}\n", step.at("action").get<std::string>(), step.at("resource").get<std::string>());
        told.insert(std::move(steps));
    }
    EXPECT_GE(told.size(), 20U);
}

INSTANTIATE_TEST_SUITE_P(Golden, Story, ::testing::ValuesIn(stories()), [](const auto& story) {
    std::string name = story.param.filename().string();
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace safe::testing
