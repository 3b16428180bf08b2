#include <arpa/inet.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include <cerrno>
#include <mutex>
#include <vector>

#include "plugins/nftables/nftables_api.hpp"
#include "reconciler/base/unique_handle.hpp"

namespace safe::nftables {
namespace {

using Socket = base::UniqueHandle<nfct_handle, nfct_close>;
using Entry = base::UniqueHandle<nf_conntrack, nfct_destroy>;

Connection connection_of(const nf_conntrack* entry) {
    return {.source = {ntohl(nfct_get_attr_u32(entry, ATTR_ORIG_IPV4_SRC))},
            .destination = {ntohl(nfct_get_attr_u32(entry, ATTR_ORIG_IPV4_DST))},
            .protocol = nfct_get_attr_u8(entry, ATTR_ORIG_L4PROTO),
            .port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_DST))};
}

struct Search {
    const std::function<bool(const Connection&)>& wanted;
    std::vector<Entry> found;
};

int look_at(nf_conntrack_msg_type /*type*/, nf_conntrack* entry, void* data) {
    auto& search = *static_cast<Search*>(data);
    // What is told of an entry is only valid within this call.
    if (search.wanted(connection_of(entry))) search.found.emplace_back(nfct_clone(entry));
    return NFCT_CB_CONTINUE;
}

class KernelConnections final : public Connections {
 public:
    base::Result<std::size_t> forget(const std::function<bool(const Connection&)>& wanted) override {
        const std::scoped_lock lock(mutex_);
        const Socket socket(nfct_open(CONNTRACK, 0));
        if (!socket) return failed("list");
        Search search{wanted, {}};
        std::uint32_t family = AF_INET;
        if (nfct_callback_register(socket.get(), NFCT_T_ALL, look_at, &search) != 0 ||
            nfct_query(socket.get(), NFCT_Q_DUMP, &family) != 0)
            return failed("list");
        const Socket deleting(nfct_open(CONNTRACK, 0));
        if (!deleting) return failed("delete");
        std::size_t count = 0;
        for (const Entry& entry : search.found) {
            if (nfct_query(deleting.get(), NFCT_Q_DESTROY, entry.get()) == 0)
                ++count;
            else if (errno != ENOENT)  // it ended by itself
                return failed("delete");
        }
        return count;
    }

 private:
    static std::unexpected<base::Error> failed(std::string attempt) {
        return base::fail({std::move(attempt), "the kernel's tracked connections", base::errno_text(errno),
                           errno == EPERM ? "run as root (CAP_NET_ADMIN)" : "run `modprobe nf_conntrack_netlink`"});
    }

    std::mutex mutex_;
};

}  // namespace

std::unique_ptr<Connections> make_kernel_connections() { return std::make_unique<KernelConnections>(); }

}  // namespace safe::nftables
