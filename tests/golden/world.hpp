// A world written down: what observed.yaml of a golden story says is there. The drivers are the real ones; only what
// they would see is replaced.
//
//   mode: open                      # as --mode would say; without it, the file's own
//   world: as declared              # or: empty. What everything is that is not told apart below
//   but:
//     vm/desktop: absent            # or: foreign
//     power/gateway: { unknown: connection reset by peer }
//     account/bob: { deferred: power/directory }
//     power/desktop:
//       set: [ [[memory], 2GiB] ]              # path and value; the type is the declared one's
//       remove: [ [rules, users-to-desktop] ]  # paths
//       first: [ [rules, users-to-desktop] ]   # moved to the front of its list
//     vm/old: { present: { memory: 1GiB }, needs: [network/atlas], facts: { role: workspace } }
//   blind: { vm: the connection broke }        # kinds that could not be listed
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "reconciler/driver/driver.hpp"

namespace safe::testing {

struct WrittenWorld {
    std::optional<specs::WantedMode> mode;
    bool as_declared = false;
    std::map<model::ResourceId, model::Observation> observed;
    std::map<model::Kind, base::Error> blind;
};

/// Throws std::runtime_error when the file does not say what it should. `desired` is every declared resource as it is
/// when present, which is what `as declared` means.
[[nodiscard]] WrittenWorld read_world(const std::filesystem::path& file,
                                      const std::map<model::ResourceId, model::Resource>& desired);

/// Only the mode, which decides what is desired.
[[nodiscard]] std::optional<specs::WantedMode> read_mode(const std::filesystem::path& file);

}  // namespace safe::testing
