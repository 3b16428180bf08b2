// From the text of one file to a tree of nodes. The only user of yaml-cpp, behind whose parser nothing is unbounded: it
// is fed only what text_scan.hpp let through, and stopped at the first node too many or too deep. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "specs/diagnostic.hpp"
#include "specs/document.hpp"

namespace safe::specs {

/// The one document in `text`; nullopt when it is no YAML, which is reported. What is YAML but refused (tags, a key
/// twice, merge keys, keys that are no scalars, values too long) is reported too and left out of the tree. `nodes_left`
/// is what this and later files may still use; an alias costs as much as what it stands for, and so does an anchor.
[[nodiscard]] std::optional<Node> read_yaml(std::string_view text, const std::string& file, std::size_t& nodes_left,
                                            Diagnostics& diagnostics);

}  // namespace safe::specs
