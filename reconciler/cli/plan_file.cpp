#include "reconciler/cli/plan_file.hpp"

#include <nlohmann/json.hpp>

#include "reconciler/base/file.hpp"

namespace safe::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int plan_file_version = 1;
constexpr std::string_view plan_file_kind = "plan-file";
constexpr int deepest_plan_file = 100;
constexpr std::size_t largest_plan_file = std::size_t{256} << 20;

std::unexpected<base::Error> malformed(const std::string& path, std::string cause) {
    return base::fail({"read the plan file", path, std::move(cause), "make it again with: safectl plan --out " + path});
}

std::optional<specs::WantedMode> parse_mode(const std::string& text) {
    for (const auto mode :
         {specs::WantedMode::automatic, specs::WantedMode::open, specs::WantedMode::closed, specs::WantedMode::locked})
        if (to_text(mode) == text) return mode;
    return std::nullopt;
}

}  // namespace

base::Result<void> write_plan_file(const std::string& path, const PlanFile& file) {
    Json document{{"version", plan_file_version}, {"kind", plan_file_kind}, {"spec_file", file.spec_file}};
    if (file.mode) document["mode"] = to_text(*file.mode);
    document["plan"] = Json::parse(file.plan);
    return base::replace_file(path, document.dump(2) + "\n", 0600);
}

base::Result<PlanFile> read_plan_file(const std::string& path) {
    const base::Result<std::string> content = base::read_file(path, largest_plan_file);
    if (!content) return base::fail(content.error());
    bool too_deep = false;  // to be printed again
    const auto bounded = [&](int depth, Json::parse_event_t, const Json&) {
        too_deep = too_deep || depth > deepest_plan_file;
        return !too_deep;
    };
    const Json document = Json::parse(*content, bounded, false);
    if (too_deep || !document.is_object() || !document.contains("kind") || document["kind"] != plan_file_kind)
        return malformed(path, "it is not a plan file");
    if (!document.contains("version") || document["version"] != plan_file_version)
        return malformed(path, "it is of another version");
    if (!document.contains("plan") || !document.contains("spec_file") || !document["spec_file"].is_string())
        return malformed(path, "parts of it are missing");
    PlanFile file{.spec_file = document["spec_file"], .mode = std::nullopt, .plan = document["plan"].dump(2) + "\n"};
    if (document.contains("mode")) {
        file.mode = document["mode"].is_string() ? parse_mode(document["mode"]) : std::nullopt;
        if (!file.mode) return malformed(path, "its mode is none that is known");
    }
    return file;
}

}  // namespace safe::cli
