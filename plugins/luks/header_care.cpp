#include "plugins/luks/header_care.hpp"

#include <algorithm>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/key_helper.hpp"
#include "reconciler/base/file.hpp"

namespace safe::luks {
namespace {

using base::Error;
using base::Result;
namespace fs = std::filesystem;

constexpr std::size_t backup_limit = std::size_t{160} << 20U;

Result<const specs::VolumeSpec*> declared(const driver::Setting& setting, std::string_view volume) {
    const specs::VolumeSpec* spec = setting.spec.volume(volume);
    if (spec == nullptr)
        return base::fail({"find the volume", std::string(volume), "the spec declares none of that name",
                           "name one of its volumes", Error::Kind::refused});
    return spec;
}

/// The key opens the header: whoever gave it may say that it is the right one.
Result<void> prove(const Ground& ground, const specs::VolumeSpec& volume, const Taken& taken) {
    const Result<Unlock> unlock = ground.unlock(volume, taken.header);
    if (!unlock) return base::fail(unlock.error());
    const Outcome<int> opened = ground.api->try_key(taken.image, *unlock);
    if (opened) return {};
    const driver::MemberKey* member = ground.setting.keys.member();
    return base::fail(explain(opened.error(), "container/" + volume.name,
                              ground.is_vault(volume) && member != nullptr ? member->user : ""));
}

}  // namespace

Result<void> accept_header(const driver::Setting& setting, std::string_view volume) {
    return accept_header(setting, volume, make_helper_api(usual_helper()));
}

Result<void> accept_header(const driver::Setting& setting, std::string_view volume, const std::shared_ptr<Api>& api) {
    const Result<const specs::VolumeSpec*> spec = declared(setting, volume);
    if (!spec) return base::fail(spec.error());
    const Ground ground{.setting = setting, .api = api};
    const VolumeHeader header = ground.header(**spec);
    const Result<Taken> taken = header.take_unrecorded();
    if (!taken) return base::fail(taken.error());
    if (Result<void> proven = prove(ground, **spec, *taken); !proven) return proven;
    return header.accept(*taken);
}

Result<fs::path> back_up_header(const driver::Setting& setting, std::string_view volume) {
    const Result<const specs::VolumeSpec*> spec = declared(setting, volume);
    if (!spec) return base::fail(spec.error());
    const VolumeHeader header(setting.places, **spec);
    const Result<Taken> taken = header.take();
    if (!taken) return base::fail(taken.error());
    if (Result<void> kept = header.store().back_up(taken->image, taken->header.sequence); !kept)
        return base::fail(kept.error());
    return header.store().newest_backup();
}

Result<void> restore_header(const driver::Setting& setting, std::string_view volume, const fs::path& backup) {
    return restore_header(setting, volume, backup, make_helper_api(usual_helper()));
}

Result<void> restore_header(const driver::Setting& setting, std::string_view volume, const fs::path& backup,
                            const std::shared_ptr<Api>& api) {
    const Result<const specs::VolumeSpec*> spec = declared(setting, volume);
    if (!spec) return base::fail(spec.error());
    const Ground ground{.setting = setting, .api = api};
    const VolumeHeader header = ground.header(**spec);
    const Result<std::vector<Mapping>> open = api->mappings();
    if (!open) return base::fail(open.error());
    if (std::ranges::find(*open, setting.places.mapping_name(volume), &Mapping::name) != open->end())
        return base::fail({"restore", "container/" + std::string(volume), "the volume is open", "close the safe first",
                           Error::Kind::refused});
    const fs::path file = backup.empty() ? header.store().newest_backup() : backup;
    if (file.empty())
        return base::fail({"restore", "container/" + std::string(volume), "there is no backup of its header",
                           "name a file", Error::Kind::refused});
    const Result<std::string> image = base::read_file(file, backup_limit);
    if (!image) return base::fail(image.error());
    const Result<Taken> taken = header.judge_image(*image);
    if (!taken) return base::fail(taken.error());
    if (Result<void> proven = prove(ground, **spec, *taken); !proven) return proven;
    return header.restore(taken->image);
}

}  // namespace safe::luks
