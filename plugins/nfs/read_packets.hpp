// What the network keeps of packets that were read.
#pragma once

#include "reconciler/base/result.hpp"

namespace safe::nfs {

/// Has packets freed that were read and are still in memory, with what was in them. A packet that one processor
/// has read and another has allocated waits for the other to receive something (skb_attempt_defer_free of
/// net/core/skbuff.c, since Linux 5.19): on a network that has gone quiet, for ever. So each processor receives a
/// datagram, over loopback. Nothing to do where net.core.skb_defer_max is 0. Idempotent; an error when there is
/// a processor that this process may not use. The calling thread may use the same processors as before.
[[nodiscard]] base::Result<void> free_read_packets();

}  // namespace safe::nfs
