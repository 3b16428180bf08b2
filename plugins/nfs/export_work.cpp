// How an export is made and taken away: the part of ExportDriver that changes the world.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "plugins/nfs/export_driver.hpp"
#include "reconciler/base/paths.hpp"

namespace safe::nfs {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::fail;
using base::Result;
using model::Branch;
using model::Observation;

constexpr int most_rounds = 5;

}  // namespace

Result<void> ExportDriver::apply(const model::Step& step, const model::Resource& resource,
                                 const Observation& /*observed*/, const driver::Context& context) {
    const std::scoped_lock lock(applying_);
    if (step.action == model::Action::remove) return take(resource.id.name(), nullptr, context);
    return give(resource.id.name(), resource.attributes, context);
}

/// A server that runs is used as it is, if it is what we would have started. One that is ours, but where the safe's
/// address was before, is started anew.
Result<void> ExportDriver::serve() {
    auto seen = look();
    if (seen && seen->server.threads > 0 && is_ours(*seen) && !seen->server.listeners.contains(address_ + ":2049")) {
        if (auto left = leave_former_address(*seen); !left) return left;
        seen = look();
    }
    if (!seen) return fail(seen.error());
    const Server& server = seen->server;
    if (server.threads == 0) {
        // What a power cut left must not be served by the start of the server.
        auto tables = api_->tables();
        if (!tables) return fail(tables.error());
        std::erase_if(tables->granted,
                      [&](const Export& one) { return !base::lies_in(one.path, places_.mount_root()); });
        if (!tables->granted.empty())
            if (auto gone = api_->withdraw(tables->granted); !gone) return gone;
    } else if (!is_as_wanted(server)) {
        return fail(
            {"export", "volumes",
             fmt::format("an NFS server runs that is not as the safe's is: {}", text_of(server, false)),
             fmt::format("stop it (`rpc.nfsd 0`), or let it serve 4.2 alone on {} alone (/etc/nfs.conf)", address_),
             Error::Kind::refused});
    }
    if (auto kept = served_address_.keep(address_); !kept) return kept;
    if (server.threads > 0 && server.missing.empty()) return {};
    return api_->start(address_);
}

/// Nobody of ours is served there any more: the addresses of the VMs have moved as well.
Result<void> ExportDriver::leave_former_address(const Look& seen) {
    for (const Export& one : seen.tables.granted)
        if (!base::lies_in(one.path, places_.mount_root()))
            return fail({"export", "volumes",
                         fmt::format("the NFS server is still at {}, for it exports {}, which is not the safe's",
                                     seen.served_at, one.path.string()),
                         "withdraw that export and apply again", Error::Kind::refused});
    return api_->stop();
}

Result<void> ExportDriver::give(const std::string& volume, const model::Attributes& wanted,
                                const driver::Context& context) {
    const fs::path path = places_.mount_point(volume);
    const model::Value* clients = wanted.find(clients_key);
    if (clients == nullptr || clients->branch() == nullptr)
        return fail({"export", volume, "what is wanted of it names no client", "plan again with this build"});
    auto device = api_->mounted(path);
    if (!device) return fail(device.error());
    if (!*device) return fail({"export", volume, path.string() + " is not mounted", "mount the volume first"});
    if (auto served = serve(); !served) return served;
    if (auto taken = take(volume, clients->branch(), context); !taken) return taken;
    auto tables = api_->tables();
    if (!tables) return fail(tables.error());
    std::map<std::string, std::vector<std::string>> missing;  // clients by options
    for (const model::Entry& client : clients->branch()->entries()) {
        const auto* options = model::get<std::string>(*clients->branch(), client.key);
        if (options == nullptr)
            return fail({"export", volume, client.key + " has no options", "plan again with this build"});
        const bool granted = std::ranges::any_of(tables->granted, [&](const Export& one) {
            return one.path == path && one.client == client.key && owned(one.options) == *options;
        });
        if (!granted) missing[*options].push_back(client.key);
    }
    for (const auto& [options, who] : missing)
        if (auto done = api_->grant(path, who, options); !done) return done;
    return {};
}

/// What one of the tables has of the volume that is for nobody among `kept`.
Result<std::vector<Export>> ExportDriver::left(const std::string& volume, const Branch* kept, bool granted) {
    auto tables = api_->tables();
    if (!tables) return fail(tables.error());
    std::vector<Export> found = of_volume(volume, granted ? tables->granted : tables->cached);
    std::erase_if(found, [&](const Export& one) {
        return kept != nullptr && one.path == places_.mount_point(volume) && kept->find(one.client) != nullptr;
    });
    return found;
}

Result<std::vector<Holder>> ExportDriver::holding(const std::string& volume, const Branch* kept) {
    auto mounted = api_->mounted(places_.mount_point(volume));
    if (!mounted) return fail(mounted.error());
    const std::optional<dev_t> device = *mounted;
    if (!device) return std::vector<Holder>{};
    auto holders = api_->holders(*device);
    if (holders)
        std::erase_if(*holders,
                      [&](const Holder& holder) { return kept != nullptr && kept->find(holder.address) != nullptr; });
    return holders;
}

Result<void> ExportDriver::wait_for_flush(const driver::Context& context) {
    constexpr std::chrono::milliseconds pause{100};
    constexpr int longest = 600;  // pauses
    for (int waited = 0; waited < longest; ++waited) {
        auto due = api_->flush_due();
        if (!due) return fail(due.error());
        if (*due <= std::chrono::seconds(0)) return {};
        if (context.stop.stop_requested())
            return fail({"withdraw", "exports", "interrupted", "apply again", Error::Kind::interrupted});
        std::this_thread::sleep_for(pause);
    }
    return fail({"withdraw", "exports", "the kernel's mark of its table of exports is far ahead of its clock",
                 "look whether the clock was set back, and apply again"});
}

/// Nobody is served any more: then what was written last goes from memory, where it lies in packets and in the buffers
/// of the server's threads.
Result<void> ExportDriver::rest(const driver::Context& context) {
    const auto seen = look();
    if (!seen) return fail(seen.error());
    if (!is_idle(*seen)) return {};
    // Nothing that holds up closing: keys that stay would be worse than what is in a packet.
    if (const auto freed = api_->free_packets(); !freed) context.say(to_text(freed.error()));
    if (auto stopped = api_->stop(); !stopped) return stopped;
    return served_address_.forget();
}

/// Ends what everybody holds who is not among `kept`, for a client that is frozen, or gone, never closes what it has
/// open, and withdraws the volume from them. That, or a flush when it is withdrawn already, comes last: it closes what
/// the server keeps open for clients that are gone. A client that is alive may have been answered from the table as it
/// was just before, so this is done until nothing is left.
Result<void> ExportDriver::take(const std::string& volume, const Branch* kept, const driver::Context& context) {
    std::string remains;
    for (int round = 0; round < most_rounds; ++round) {
        auto granted = left(volume, kept, true);
        if (!granted) return fail(granted.error());
        auto cached = left(volume, kept, false);
        if (!cached) return fail(cached.error());
        auto holders = holding(volume, kept);
        if (!holders) return fail(holders.error());
        if (granted->empty() && cached->empty() && holders->empty())
            return kept == nullptr ? rest(context) : Result<void>{};
        remains = !holders->empty()  ? fmt::format("the NFS client {} still holds something", holders->front().address)
                  : !cached->empty() ? fmt::format("the kernel still answers {}", cached->front().client)
                                     : fmt::format("it is still exported to {}", granted->front().client);
        if (auto waited = wait_for_flush(context); !waited) return waited;
        for (const Holder& holder : *holders)
            if (auto ended = api_->expire(holder.id); !ended) return ended;
        if (auto gone = granted->empty() ? api_->flush() : api_->withdraw(*granted); !gone) return gone;
    }
    return fail({"withdraw", volume, remains, "look at `exportfs -v` and /proc/fs/nfsd/clients, and apply again"});
}

}  // namespace safe::nfs
