#include "reconciler/base/exportfs.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace safe::base {

std::string exportfs_argument(std::string_view client, std::string_view path) {
    if (client.find(':') == std::string_view::npos) return fmt::format("{}:{}", client, path);
    const std::size_t end = std::min(client.find('/'), client.size());
    return fmt::format("[{}]{}:{}", client.substr(0, end), client.substr(end), path);
}

}  // namespace safe::base
