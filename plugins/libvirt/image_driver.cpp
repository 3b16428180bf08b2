#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/image_store.hpp"

namespace safe::libvirt {
namespace {

using base::Error;
using base::Result;
using model::Assessment;
using model::Attributes;
using model::Observation;
using model::Resource;
using model::ResourceId;

constexpr std::array kind_of_images{model::Kind::image};

/// What `version` says when the spec does not pin a digest: the copy is as its source is.
constexpr std::string_view latest = "as its source";

class ImageDriver final : public driver::Driver {
 public:
    explicit ImageDriver(Layout layout) : layout_(std::move(layout)), store_(layout_) {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return kind_of_images; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode /*mode*/) const override {
        driver::Desire desire;
        std::map<ResourceId, Attributes> images;
        for (const specs::VmSpec& vm : spec.vms) {
            if (vm.image) want(desire, images, *vm.image, vm.sha256);
            if (!vm.boot) continue;
            want(desire, images, vm.boot->kernel, std::nullopt);
            if (vm.boot->initrd) want(desire, images, *vm.boot->initrd, std::nullopt);
        }
        for (auto& [id, attributes] : images)
            desire.resources.push_back(
                {.id = id, .presence = model::Presence::present, .attributes = std::move(attributes)});
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, look(id));
        for (const Resource& resource : scope.wanted) check_source(resource, snapshot);
        if (!scope.enumerate) return snapshot;
        const Result<std::vector<ResourceId>> all = store_.list();
        if (!all) {
            snapshot.enumeration_failed = all.error();
            return snapshot;
        }
        for (const ResourceId& id : *all) {
            if (snapshot.observations.contains(id)) continue;
            Observation seen = look(id);
            if (!std::holds_alternative<model::Absent>(seen)) snapshot.observations.emplace(id, std::move(seen));
        }
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& /*observed*/,
                                      std::span<const model::Change> /*changes*/) const override {
        if (action == model::Action::remove) return {.verb = "remove", .summary = ""};
        const std::string version = text_of(resource.attributes, "version");
        std::string summary = "from " + text_of(resource.attributes, "source");
        if (version != latest) summary += ", SHA-256 " + version.substr(0, 12) + "…";
        // Overlays stay on the copy they were made on, and a kernel is read when its guest starts.
        if (action == model::Action::change) summary += "; for new disks and the next start";
        return {.verb = "import", .summary = std::move(summary)};
    }

    [[nodiscard]] model::Presence orphan(const ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        return model::Presence::present;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& /*observed*/,
                       const driver::Context& context) override {
        if (step.action == model::Action::remove)
            return base::fail({.attempt = "remove",
                               .object = to_text(resource.id),
                               .cause = "this build does not remove images",
                               .advice = "remove its directory by hand once no disk rests on it",
                               .kind = Error::Kind::refused});
        const std::string version = text_of(resource.attributes, "version");
        return store_.import(resource.id, text_of(resource.attributes, "source"), version == latest ? "" : version,
                             context);
    }

 private:
    void want(driver::Desire& desire, std::map<ResourceId, Attributes>& images,
              const specs::Located<specs::FilePath>& path,
              const std::optional<specs::Located<specs::Sha256Digest>>& sha256) const {
        const ResourceId id = image_id(*path);
        // 255 bytes are what a file name may have (NAME_MAX).
        if (id.path.empty() || encode_path(id.path).size() > 255) {
            desire.refusals.push_back(refusal(path->written, path.at,
                                              "the path is too long to keep a copy under its name",
                                              "give the file a shorter path"));
            return;
        }
        const auto [place, is_new] = images.try_emplace(
            id,
            Attributes().set("source", path->resolved).set("version", sha256 ? (**sha256).hex : std::string(latest)));
        if (is_new) return;
        if (text_of(place->second, "source") != path->resolved) {
            desire.refusals.push_back(refusal(path->written, path.at,
                                              "another file of this spec has the same name, " + to_text(id),
                                              "rename one of the two"));
            return;
        }
        if (!sha256) return;
        if (const std::string version = text_of(place->second, "version");
            version != latest && version != (**sha256).hex)
            desire.refusals.push_back(refusal("sha256", sha256->at,
                                              "another VM expects " + version + " of the same file",
                                              "one file has one digest: correct one of the two"));
        place->second.set("version", (**sha256).hex);
    }

    [[nodiscard]] Observation look(const ResourceId& id) const {
        const Result<std::optional<ImageSeen>> looked = store_.look(id);
        if (!looked) return model::Unknown{looked.error()};
        const std::optional<ImageSeen>& seen = *looked;
        if (!seen) return model::Absent{};
        const Import& import = seen->import;
        std::string version = import.pinned ? import.sha256 : std::string(latest);
        if (!import.pinned && seen->source_changed) version = "older than its source";
        if (seen->copy_changed) version = "damaged: somebody wrote to the copy";
        return model::Present{
            .attributes = Attributes().set("source", import.source).set("version", std::move(version)),
            .needs = {},
            .facts = Attributes().set("sha256", import.sha256).set("size", model::Bytes{import.copy_stamp.bytes})};
    }

    /// A file that is not there is better said before anything is begun.
    static void check_source(const Resource& resource, model::Snapshot& snapshot) {
        const auto seen = snapshot.observations.find(resource.id);
        if (seen == snapshot.observations.end() || !std::holds_alternative<model::Absent>(seen->second)) return;
        if (const Result<void> readable = ImageStore::check_source(text_of(resource.attributes, "source")); !readable)
            seen->second = model::Unknown{readable.error()};
    }

    const Layout layout_;
    const ImageStore store_;
};

}  // namespace

std::unique_ptr<driver::Driver> make_image_driver(Layout layout) {
    return std::make_unique<ImageDriver>(std::move(layout));
}

}  // namespace safe::libvirt
