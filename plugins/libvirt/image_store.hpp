// The safe's own copies of the files it boots and bases disks on. A copy is never written again: a base image edited
// under its overlays ruins them, and libvirt changes the owner of files it uses, so neither may ever be the operator's
// own file. Layout as in layout.hpp; nothing but files below images/ is written. Thread-safe for different images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "plugins/libvirt/layout.hpp"
#include "reconciler/base/result.hpp"
#include "reconciler/driver/driver.hpp"

namespace safe::libvirt {

/// What is known of a file without reading it.
struct Stamp {
    std::uint64_t bytes = 0;
    std::int64_t modified = 0;  // nanoseconds since 1970
    bool operator==(const Stamp&) const = default;
};

/// Where an image came from.
struct Import {
    std::string source;   // absolute path
    std::string sha256;   // of the copy
    bool pinned = false;  // the spec says which digest it must have
    Stamp source_stamp;
    Stamp copy_stamp;
};

struct ImageSeen {
    Import import;
    bool source_changed = false;  // the source is another file than the one copied; one that is gone has not changed
    bool copy_changed = false;    // somebody wrote to our copy
};

class ImageStore {
 public:
    explicit ImageStore(Layout layout) : layout_(std::move(layout)) {}

    /// Every image whose import was finished or begun.
    [[nodiscard]] base::Result<std::vector<model::ResourceId>> list() const;

    /// nullopt when it was never imported to the end.
    [[nodiscard]] base::Result<std::optional<ImageSeen>> look(const model::ResourceId& id) const;

    /// Whether `source` could be imported: an Error that says why not.
    [[nodiscard]] static base::Result<void> check_source(const std::filesystem::path& source);

    /// Copies `source`, checks it against `sha256` unless that is empty, and makes the copy current. Ends in the same
    /// state however often it was cut short. On an Error nothing of the copy is kept. Can be stopped through `context`.
    [[nodiscard]] base::Result<void> import(const model::ResourceId& id, const std::filesystem::path& source,
                                            const std::string& sha256, const driver::Context& context) const;

 private:
    [[nodiscard]] base::Result<void> commit(const model::ResourceId& id, const Import& import) const;

    Layout layout_;
};

}  // namespace safe::libvirt
