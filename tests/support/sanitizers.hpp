// What a test is built with, for those that ask of the system what a sanitizer does otherwise.
#pragma once

namespace safe::testing {

#ifdef __has_feature
inline constexpr bool under_address_sanitizer = __has_feature(address_sanitizer);
inline constexpr bool under_thread_sanitizer = __has_feature(thread_sanitizer);
#else
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool under_address_sanitizer = true;
#else
inline constexpr bool under_address_sanitizer = false;
#endif
#ifdef __SANITIZE_THREAD__
inline constexpr bool under_thread_sanitizer = true;
#else
inline constexpr bool under_thread_sanitizer = false;
#endif
#endif
inline constexpr bool under_a_sanitizer = under_address_sanitizer || under_thread_sanitizer;

}  // namespace safe::testing
