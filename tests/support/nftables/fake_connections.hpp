// Tracked connections in memory. Not for more than one thread.
#pragma once

#include <vector>

#include "plugins/nftables/nftables_api.hpp"

namespace safe::test {

class FakeConnections final : public nftables::Connections {
 public:
    std::vector<nftables::Connection> tracked;

    base::Result<std::size_t> forget(const std::function<bool(const nftables::Connection&)>& wanted) override {
        return std::erase_if(tracked, wanted);
    }
};

/// "10.78.0.9" → "10.77.0.20", TCP port 22.
inline nftables::Connection tcp_connection(std::string_view from, std::string_view to, std::uint16_t port) {
    return {specs::parse_ipv4(from).value(), specs::parse_ipv4(to).value(), 6, port};
}

}  // namespace safe::test
