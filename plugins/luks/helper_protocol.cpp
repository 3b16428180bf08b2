#include "plugins/luks/helper_protocol.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>

namespace safe::luks {
namespace {

using base::Result;

constexpr std::size_t body_limit = std::size_t{4} << 20U;
constexpr std::size_t secret_limit = 4096;

std::unexpected<base::Error> broken(std::string attempt, std::string cause) {
    return base::fail({std::move(attempt), "the key helper", std::move(cause), ""});
}

Result<void> send_bytes(int socket, const void* data, std::size_t size) {
    const auto* at = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t sent = ::send(socket, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return broken("talk to", base::errno_text(errno));
        at += sent;
        size -= static_cast<std::size_t>(sent);
    }
    return {};
}

Result<void> receive_bytes(int socket, void* data, std::size_t size) {
    auto* at = static_cast<char*>(data);
    while (size > 0) {
        const ssize_t got = ::recv(socket, at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return broken("hear from", base::errno_text(errno));
        if (got == 0) return broken("hear from", "it ended without an answer");
        at += got;
        size -= static_cast<std::size_t>(got);
    }
    return {};
}

Json bytes_as_json(const std::vector<std::byte>& bytes) {
    Json numbers = Json::array();
    for (const std::byte byte : bytes) numbers.push_back(std::to_integer<unsigned>(byte));
    return numbers;
}

}  // namespace

Result<void> send(int socket, const Request& request) {
    Json body = request.body;
    body["secrets"] = Json::array();
    for (const base::Secret* secret : request.secrets) body["secrets"].push_back(secret->size());
    const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    const auto size = static_cast<std::uint32_t>(text.size());
    if (Result<void> sent = send_bytes(socket, &size, sizeof size); !sent) return sent;
    if (Result<void> sent = send_bytes(socket, text.data(), text.size()); !sent) return sent;
    for (const base::Secret* secret : request.secrets)
        if (Result<void> sent = send_bytes(socket, secret->bytes().data(), secret->size()); !sent) return sent;
    return {};
}

Result<Received> receive(int socket) {
    std::uint32_t size = 0;
    if (Result<void> got = receive_bytes(socket, &size, sizeof size); !got) return base::fail(got.error());
    if (size > body_limit) return broken("hear from", "it says too much");
    std::string text(size, '\0');
    if (Result<void> got = receive_bytes(socket, text.data(), size); !got) return base::fail(got.error());
    Received received{.body = Json::parse(text, nullptr, /*allow_exceptions=*/false), .secrets = {}};
    if (!received.body.is_object() || !received.body["secrets"].is_array())
        return broken("understand", "it does not speak this build's language");
    for (const Json& length : received.body["secrets"]) {
        if (!length.is_number_unsigned() || length.get<std::size_t>() > secret_limit)
            return broken("understand", "a secret is too long");
        Result<base::Secret> secret = base::Secret::of_size(length.get<std::size_t>());
        if (!secret) return base::fail(secret.error());
        if (Result<void> got = receive_bytes(socket, secret->bytes().data(), secret->size()); !got)
            return base::fail(got.error());
        received.secrets.push_back(*std::move(secret));
    }
    return received;
}

Json put_key(const Key& key, Request& request) {
    if (const auto* file = std::get_if<KeyFile>(&key)) return {{"file", file->path.string()}};
    const std::size_t index = request.secrets.size();
    if (const auto* derived = std::get_if<SubKey>(&key)) {
        request.secrets.push_back(derived->key);
        return {{"secret", index}};
    }
    const auto& member = std::get<MemberPassword>(key);
    request.secrets.push_back(member.password);
    return {{"secret", index},
            {"user", member.user},
            {"salt", bytes_as_json(member.salt)},
            {"memory", member.cost.memory},
            {"passes", member.cost.passes}};
}

std::optional<Key> take_key(const Json& json, const Received& received) {
    if (json.contains("file")) return Key(KeyFile{json.value("file", "")});
    const std::size_t index = json.value("secret", received.secrets.size());
    if (index >= received.secrets.size()) return std::nullopt;
    const base::Secret* secret = &received.secrets[index];
    if (!json.contains("user")) return Key(SubKey{secret});
    MemberPassword member{
        .user = json.value("user", ""),
        .password = secret,
        .salt = {},
        .cost = {.memory = json.value("memory", std::uint64_t{0}), .passes = json.value("passes", std::uint32_t{0})}};
    for (const Json& number : json.value("salt", Json::array()))
        member.salt.push_back(static_cast<std::byte>(number.get<unsigned>()));
    return Key(std::move(member));
}

Json to_json(const Edit& edit) {
    Json tokens = Json::array();
    for (const auto& [id, content] : edit.tokens) tokens.push_back({{"id", id}, {"content", content}});
    return {{"kill", edit.kill}, {"remove_tokens", edit.remove_tokens}, {"tokens", std::move(tokens)}};
}

Edit edit_from(const Json& json) {
    Edit edit{.kill = json.at("kill").get<std::vector<int>>(),
              .remove_tokens = json.at("remove_tokens").get<std::vector<std::string>>(),
              .tokens = {}};
    for (const Json& token : json.at("tokens")) edit.tokens.emplace_back(token.at("id"), token.at("content"));
    return edit;
}

Json to_json(const Failure& failure) {
    return {{"code", static_cast<int>(failure.code)}, {"attempt", failure.error.attempt},
            {"object", failure.error.object},         {"cause", failure.error.cause},
            {"advice", failure.error.advice},         {"refused", failure.error.kind == base::Error::Kind::refused}};
}

Failure failure_from(const Json& json) {
    const int code = json.value("code", 0);
    return {.code = code >= 0 && code <= static_cast<int>(Failure::Code::in_use) ? static_cast<Failure::Code>(code)
                                                                                 : Failure::Code::other,
            .error = {.attempt = json.value("attempt", "use"),
                      .object = json.value("object", "a key"),
                      .cause = json.value("cause", "no reason was given"),
                      .advice = json.value("advice", ""),
                      .kind = json.value("refused", false) ? base::Error::Kind::refused : base::Error::Kind::failed}};
}

}  // namespace safe::luks
