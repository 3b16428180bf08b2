// UniqueHandle<&close_fn>: a C handle that is released exactly once, by the function named in its type.
//   using Domain = base::UniqueHandle<virDomain, virDomainFree>;
// Owns; movable, not copyable; as thread-safe as the handle itself.
#pragma once

#include <memory>

namespace safe::base {

template <auto Release>
struct Releaser {
    template <class T>
    void operator()(T* handle) const noexcept {
        static_cast<void>(Release(handle));
    }
};

template <class T, auto Release>
using UniqueHandle = std::unique_ptr<T, Releaser<Release>>;

}  // namespace safe::base
