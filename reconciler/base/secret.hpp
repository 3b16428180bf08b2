// Secret: bytes that must not leak. Kept in memory of its own (libsodium's guarded allocations: locked, so that it is
// never swapped, left out of core dumps, between guard pages) and wiped when it goes. Move-only and unprintable: there
// is no conversion to text, no comparison, no stream operator, and nothing to put it into a log with. One owner at a
// time; reading it from several threads at once is safe.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "reconciler/base/result.hpp"

namespace safe::base {

class Secret {
 public:
    Secret() = default;  // empty

    /// `size` zero bytes to be written through bytes(). Fails when no memory can be locked (RLIMIT_MEMLOCK).
    [[nodiscard]] static Result<Secret> of_size(std::size_t size);
    /// A copy; wiping the original is the caller's.
    [[nodiscard]] static Result<Secret> copy_of(std::span<const std::byte> bytes);
    /// `size` bytes from the kernel's random number generator (getrandom(2)).
    [[nodiscard]] static Result<Secret> random(std::size_t size);
    /// Reads `descriptor` to its end, `limit` bytes at most (more is an error), without one final line break.
    [[nodiscard]] static Result<Secret> read_from(int descriptor, std::size_t limit);

    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() = default;

    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<std::byte> bytes() { return {memory_.get(), size_}; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }
    /// For C libraries that want characters; not terminated by NUL. Never to be copied into a std::string.
    [[nodiscard]] std::string_view view() const;

    /// The first `size` bytes of it, wiping the rest. Not more than there are.
    void shorten(std::size_t size);

 private:
    struct Wipe {
        void operator()(std::byte* memory) const noexcept;
    };
    std::unique_ptr<std::byte, Wipe> memory_;
    std::size_t size_ = 0;
};

/// Overwrites what a third-party library left in memory of its own; not optimised away.
void wipe(std::span<std::byte> bytes);

}  // namespace safe::base
