// What a key helper is asked and what it answers, over one stream socket: a length (4 bytes, little endian), as many
// bytes of JSON, then the secrets that the JSON gives the sizes of, raw, one after the other. The header's image is not
// sent: both have it as the same memory file. Used by both sides; both are of one build. No secret is ever in the JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plugins/luks/luks_api.hpp"

namespace safe::luks {

// The descriptors that a helper is born with; 1 and 2 lead to /dev/null.
inline constexpr int socket_descriptor = 0;
inline constexpr int image_descriptor = 3;
inline constexpr std::string_view image_path = "/proc/self/fd/3";

struct Request {
    Json body;
    std::vector<const base::Secret*> secrets = {};
};
struct Received {
    Json body;
    std::vector<base::Secret> secrets;
};

[[nodiscard]] base::Result<void> send(int socket, const Request& request);
/// An Error when the other side is gone, or says what it must not.
[[nodiscard]] base::Result<Received> receive(int socket);

/// Adds the key's secret to the request and returns what the JSON says of it.
[[nodiscard]] Json put_key(const Key& key, Request& request);
/// The inverse; points into `received`. nullopt for what no build of ours sends.
[[nodiscard]] std::optional<Key> take_key(const Json& json, const Received& received);

[[nodiscard]] Json to_json(const Edit& edit);
[[nodiscard]] Edit edit_from(const Json& json);
[[nodiscard]] Json to_json(const Failure& failure);
[[nodiscard]] Failure failure_from(const Json& json);

}  // namespace safe::luks
