// libldap keeps copies of what it sends, passwords among it, in buffers that it frees without wiping. This gives its
// lower half (liblber) an allocator that wipes. For the whole process, once, before anything else is asked of libldap.
#pragma once

namespace safe::ldap {

/// Idempotent and thread-safe. Throws std::logic_error when somebody has used liblber before: a bug of ours.
void make_ldap_memory_wiped();

}  // namespace safe::ldap
