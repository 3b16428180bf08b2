#include <lber.h>
#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <span>
#include <stdexcept>

#include "plugins/ldap/wiping_memory.hpp"
#include "reconciler/base/secret.hpp"

namespace safe::ldap {
namespace {

void release(void* memory, void* /*context*/) {
    if (memory == nullptr) return;
    base::wipe({static_cast<std::byte*>(memory), ::malloc_usable_size(memory)});
    std::free(memory);
}

void* take(ber_len_t size, void* /*context*/) { return std::malloc(size); }
void* take_zeroed(ber_len_t count, ber_len_t size, void* /*context*/) { return std::calloc(count, size); }

/// Never realloc(3), which may move the bytes and leave the old ones behind.
void* move_to(void* memory, ber_len_t size, void* context) {
    if (memory == nullptr) return take(size, context);
    void* larger = std::malloc(size);
    if (larger == nullptr) return nullptr;
    const std::size_t kept = ::malloc_usable_size(memory);
    std::memcpy(larger, memory, kept < size ? kept : size);
    release(memory, context);
    return larger;
}

}  // namespace

void make_ldap_memory_wiped() {
    static std::once_flag once;
    std::call_once(once, [] {
        static BerMemoryFunctions functions{take, take_zeroed, move_to, release};
        if (ber_set_option(nullptr, LBER_OPT_MEMORY_FNS, &functions) != LBER_OPT_SUCCESS)
            throw std::logic_error("liblber was used before its memory could be wiped");
    });
}

}  // namespace safe::ldap
