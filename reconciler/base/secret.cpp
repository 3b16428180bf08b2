#include "reconciler/base/secret.hpp"

#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace safe::base {
namespace {

std::unexpected<Error> no_memory(int error_number) {
    return fail({.attempt = "lock memory for",
                 .object = "a secret",
                 .cause = errno_text(error_number),
                 .advice = "raise the limit of locked memory (ulimit -l), or run as root"});
}

}  // namespace

void Secret::Wipe::operator()(std::byte* memory) const noexcept { sodium_free(memory); }

Secret::Secret(Secret&& other) noexcept : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
    memory_ = std::move(other.memory_);
    size_ = std::exchange(other.size_, 0);
    return *this;
}

Result<Secret> Secret::of_size(std::size_t size) {
    if (sodium_init() < 0)
        return fail({.attempt = "start", .object = "libsodium", .cause = "it has no random number generator"});
    Secret secret;
    if (size == 0) return secret;
    secret.memory_.reset(static_cast<std::byte*>(sodium_malloc(size)));
    if (!secret.memory_) return no_memory(errno);
    // libsodium locks what it allocates, and goes on when it cannot; asked by itself, it tells.
    if (sodium_mlock(secret.memory_.get(), size) != 0) return no_memory(errno);
    secret.size_ = size;
    sodium_memzero(secret.memory_.get(), size);
    return secret;
}

Result<Secret> Secret::copy_of(std::span<const std::byte> bytes) {
    Result<Secret> secret = of_size(bytes.size());
    if (secret) std::ranges::copy(bytes, secret->bytes().begin());
    return secret;
}

Result<Secret> Secret::random(std::size_t size) {
    Result<Secret> secret = of_size(size);
    if (secret && size > 0) randombytes_buf(secret->bytes().data(), size);
    return secret;
}

Result<Secret> Secret::read_from(int descriptor, std::size_t limit) {
    // One byte more than allowed, so that too much is noticed.
    Result<Secret> secret = of_size(limit + 1);
    if (!secret) return secret;
    std::size_t size = 0;
    while (size <= limit) {
        const ssize_t got = ::read(descriptor, secret->bytes().data() + size, limit + 1 - size);
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail({.attempt = "read", .object = "a secret", .cause = errno_text(errno)});
        size += static_cast<std::size_t>(got);
    }
    if (size > limit)
        return fail({.attempt = "read",
                     .object = "a secret",
                     .cause = "it is longer than " + std::to_string(limit) + " bytes",
                     .advice = "give the secret alone, with nothing after it"});
    if (size > 0 && secret->bytes()[size - 1] == std::byte{'\n'}) --size;
    secret->shorten(size);
    return secret;
}

std::string_view Secret::view() const {
    // A char may look at any object's bytes.
    return {reinterpret_cast<const char*>(memory_.get()), size_};
}

void Secret::shorten(std::size_t size) {
    if (size >= size_) return;
    wipe(bytes().subspan(size));
    size_ = size;
}

void wipe(std::span<std::byte> bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace safe::base
