#include <fmt/format.h>
#include <jansson.h>
#include <linux/capability.h>
#include <nftables/libnftables.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "plugins/nftables/nftables_api.hpp"
#include "reconciler/base/unique_handle.hpp"

namespace safe::nftables {
namespace {

using NftContext = base::UniqueHandle<nft_ctx, nft_ctx_free>;

/// While one is there, what this thread frees by jansson, with which libnftables prints, is freed at its end:
/// libnftables 1.0.6 goes on using the text of a table's only flag ("dormant") that it has freed. valgrind shows it,
/// and every fourth listing of such a table failed.
class LateFree {
 public:
    LateFree() {
        static const bool once = (json_set_alloc_funcs(std::malloc, release), true);
        static_cast<void>(once);
        freed_ = &mine_;
    }
    LateFree(const LateFree&) = delete;
    LateFree& operator=(const LateFree&) = delete;
    LateFree(LateFree&&) = delete;
    LateFree& operator=(LateFree&&) = delete;
    ~LateFree() {
        freed_ = nullptr;
        for (void* memory : mine_) std::free(memory);
    }

 private:
    static void release(void* memory) noexcept { freed_ == nullptr ? std::free(memory) : freed_->push_back(memory); }

    static thread_local std::vector<void*>* freed_;
    std::vector<void*> mine_;
};

thread_local std::vector<void*>* LateFree::freed_ = nullptr;

/// What libnftables printed, without the positions in our own JSON that it repeats ("internal:0:0-0: Error: ").
std::string first_error(std::string_view printed) {
    std::string_view line = printed.substr(0, printed.find('\n'));
    if (const auto at = line.find("Error: "); at != std::string_view::npos) line.remove_prefix(at + 7);
    return line.empty() ? "libnftables gave no reason" : std::string(line);
}

/// capget(2). When it cannot be told, libnftables may try.
bool may_administer_network() {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    if (::syscall(SYS_capget, &header, sets.data()) != 0) return true;
    return (sets[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN)) != 0;
}

Json list_of(std::string_view kind, Json object) {
    return Json::array({Json::object({{"list", Json::object({{kind, std::move(object)}})}})});
}

class KernelApi final : public Api {
 public:
    base::Result<std::optional<Json>> list(const std::string& table) override {
        auto listed = call(list_of("table", {{"family", "bridge"}, {"name", table}}), false, "list",
                           fmt::format("table bridge {}", table));
        if (listed) return *std::move(listed);
        // Only the kernel's whole list tells that it is not there, and not how an error is worded.
        const auto tables = call(list_of("tables", {{"family", "bridge"}}), false, "list", "the tables of nftables");
        if (!tables) return base::fail(tables.error());
        const bool there = std::ranges::any_of(
            *tables, [&](const Json& one) { return one.contains("table") && one["table"].value("name", "") == table; });
        return there ? base::Result<std::optional<Json>>(base::fail(std::move(listed.error()))) : std::nullopt;
    }

    base::Result<void> run(const Json& commands, Run how) override {
        const bool dry = how == Run::check;
        auto done = call(commands, dry, dry ? "check" : "carry out", "a transaction of nftables");
        if (!done) return base::fail(std::move(done.error()));
        return {};
    }

 private:
    /// The objects of the answer; empty for commands that have none. A context a call: it holds no cache that could be
    /// stale.
    base::Result<Json> call(const Json& commands, bool dry, std::string attempt, std::string object) {
        const std::string text = Json{{"nftables", commands}}.dump(-1, ' ', false, Json::error_handler_t::replace);
        // libnftables ends the whole process when it finds itself in a set-user-ID program.
        if (getuid() != geteuid())
            return base::fail({std::move(attempt), std::move(object), "the effective user is not the real one",
                               "run as root itself"});
        // Refused by the kernel, it writes that past the buffer of errors, on standard error.
        if (!may_administer_network()) return base::fail(not_permitted(std::move(attempt), std::move(object)));
        const std::scoped_lock lock(mutex_);
        const LateFree late;
        const NftContext context(nft_ctx_new(NFT_CTX_DEFAULT));
        if (!context || nft_ctx_buffer_output(context.get()) != 0 || nft_ctx_buffer_error(context.get()) != 0)
            return base::fail({std::move(attempt), std::move(object), "libnftables could not be set up",
                               "free some memory and try again"});
        // With JSON output on, libnftables 1.0.6 reads its input as JSON first.
        nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_JSON);
        nft_ctx_set_dry_run(context.get(), dry);
        if (nft_run_cmd_from_buffer(context.get(), text.c_str()) != 0)
            return base::fail(error_of(nft_ctx_get_error_buffer(context.get()), std::move(attempt), std::move(object)));
        return objects_of(nft_ctx_get_output_buffer(context.get()), std::move(attempt), std::move(object));
    }

    static base::Error error_of(std::string_view printed, std::string attempt, std::string object) {
        if (printed.find(base::errno_text(EPERM)) != std::string_view::npos)
            return not_permitted(std::move(attempt), std::move(object));
        return {std::move(attempt), std::move(object), first_error(printed),
                "look at `nft list ruleset` and apply again"};
    }

    static base::Error not_permitted(std::string attempt, std::string object) {
        return {std::move(attempt), std::move(object), base::errno_text(EPERM), "run as root (CAP_NET_ADMIN)"};
    }

    static base::Result<Json> objects_of(std::string_view printed, std::string attempt, std::string object) {
        if (printed.empty()) return Json::array();
        Json answer = Json::parse(printed, nullptr, /*allow_exceptions=*/false);
        if (!answer.is_object() || !answer.contains("nftables") || !answer["nftables"].is_array())
            return base::fail({std::move(attempt), std::move(object),
                               "libnftables answered with something else than JSON",
                               "report this with the output of `nft -j list ruleset`"});
        return std::move(answer["nftables"]);
    }

    std::mutex mutex_;  // libnftables keeps parser state that contexts share
};

}  // namespace

std::unique_ptr<Api> make_kernel_api() { return std::make_unique<KernelApi>(); }

}  // namespace safe::nftables
