#include "plugins/luks/key_helper.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "plugins/luks/helper_protocol.hpp"
#include "plugins/luks/mapper_devices.hpp"
#include "reconciler/base/file_descriptor.hpp"

#ifndef SAFE_LIBEXEC_DIR
#define SAFE_LIBEXEC_DIR "/usr/libexec/safe"
#endif

namespace safe::luks {
namespace {

using base::FileDescriptor;
using base::Result;
namespace fs = std::filesystem;

// Of the format: for libcryptsetup no area that a header speaks of lies behind the end. Memory is taken for none of it.
constexpr std::uint64_t largest_image = 2 * copy_sizes.back() + 128 * mebibyte;
constexpr int above_fixed = 10;  // so that no descriptor is in the place of one that the helper gets

Failure failure(std::string attempt, std::string object, std::string cause, std::string advice = {},
                Failure::Code code = Failure::Code::other) {
    return {.code = code, .error = {std::move(attempt), std::move(object), std::move(cause), std::move(advice)}};
}

FileDescriptor moved_up(int descriptor) {
    const FileDescriptor low(descriptor);
    return FileDescriptor(low ? ::fcntl(low.get(), F_DUPFD_CLOEXEC, above_fixed) : -1);
}

/// Memory that both processes see as a file. `size` may be larger than what is in it.
Result<FileDescriptor> memory_file(const std::string& content, std::uint64_t size) {
    FileDescriptor file = moved_up(::memfd_create("luks-header", MFD_CLOEXEC));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
        return base::fail({"make", "a memory file", base::errno_text(errno), "free some memory"});
    std::size_t done = 0;
    while (done < content.size()) {
        const ssize_t written =
            ::pwrite(file.get(), content.data() + done, content.size() - done, static_cast<off_t>(done));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return base::fail({"fill", "a memory file", base::errno_text(errno), "free some memory"});
        done += static_cast<std::size_t>(written);
    }
    return file;
}

Result<std::string> content_of(const FileDescriptor& file, std::uint64_t offset, std::uint64_t size) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = ::pread(file.get(), bytes.data() + have, size - have, static_cast<off_t>(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::fail({"read", "a memory file", base::errno_text(errno), ""});
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
}

class Child {
 public:
    Child(const fs::path& helper, int socket, int image) {
        posix_spawn_file_actions_t actions{};
        posix_spawnattr_t attributes{};
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawnattr_init(&attributes);
        ::posix_spawn_file_actions_adddup2(&actions, socket, socket_descriptor);
        for (const int quiet : {STDOUT_FILENO, STDERR_FILENO})
            ::posix_spawn_file_actions_addopen(&actions, quiet, "/dev/null", O_WRONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions, image, image_descriptor);
        ::posix_spawn_file_actions_addclosefrom_np(&actions, image_descriptor + 1);
        sigset_t all;
        sigset_t none;
        ::sigfillset(&all);
        ::sigemptyset(&none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        // A group of its own: Ctrl-C ends it only through us, so that a call under way is finished.
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        std::string name = helper.filename();
        std::string search = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        std::string locale = "LC_ALL=C";
        const std::array<char*, 2> arguments{name.data(), nullptr};
        const std::array<char*, 3> environment{search.data(), locale.data(), nullptr};
        error_ = ::posix_spawn(&pid_, helper.c_str(), &actions, &attributes, arguments.data(), environment.data());
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    Child(Child&&) = delete;
    Child& operator=(Child&&) = delete;
    ~Child() { static_cast<void>(wait()); }

    [[nodiscard]] int error() const { return error_; }
    /// As from waitpid(2).
    int wait() {
        if (error_ != 0 || pid_ < 0) return status_;
        while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status_;
    }

 private:
    pid_t pid_ = -1;
    int error_ = 0;
    int status_ = 0;
};

class HelperApi final : public Api {
 public:
    HelperApi(fs::path helper, fs::path block_devices)
        : helper_(std::move(helper)), block_devices_(std::move(block_devices)) {}

    Outcome<std::string> format(const Formatting& formatting, const Key& first) override {
        Request request{.body = {{"operation", "format"},
                                 {"uuid", formatting.uuid},
                                 {"subsystem", formatting.subsystem},
                                 {"cipher", formatting.cipher},
                                 {"key_bits", formatting.key_bits},
                                 {"sector_size", formatting.sector_size},
                                 {"tokens", formatting.tokens}}};
        request.body["key"] = put_key(first, request);
        // As large as the device, and empty: libcryptsetup checks what fits, and only a header is ever written.
        return changed({}, formatting.device_size, request);
    }

    Outcome<int> try_key(const std::string& image, const Unlock& unlock) override {
        Request request{.body = {{"operation", "try"}, {"slots", unlock.slots}}};
        request.body["key"] = put_key(unlock.key, request);
        return slot_of(image, request);
    }

    Outcome<std::string> add_keyslot(const std::string& image, const Unlock& sponsor, const NewKeyslot& fresh,
                                     const Edit& besides) override {
        Request request{.body = {{"operation", "add"},
                                 {"slots", sponsor.slots},
                                 {"besides", to_json(besides)},
                                 {"token",
                                  {{"type", "safe-user"},
                                   {"keyslots", Json::array()},
                                   {"user", fresh.user},
                                   {"generation", fresh.generation}}}}};
        request.body["key"] = put_key(sponsor.key, request);
        request.body["fresh"] = put_key(fresh.key, request);
        return changed(image, image.size(), request);
    }

    Outcome<std::string> edit(const std::string& image, const Edit& edit) override {
        return changed(image, image.size(), {.body = {{"operation", "edit"}, {"edit", to_json(edit)}}});
    }

    Outcome<int> activate(const std::string& image, const Unlock& unlock, const Activation& activation) override {
        Request request{.body = {{"operation", "activate"},
                                 {"slots", unlock.slots},
                                 {"name", activation.name},
                                 {"device", activation.device.string()},
                                 {"read_only", activation.read_only}}};
        request.body["key"] = put_key(unlock.key, request);
        return slot_of(image, request);
    }

    Outcome<void> deactivate(const std::string& name, Closing how) override {
        const Result<FileDescriptor> nothing = memory_file({}, 0);
        if (!nothing) return std::unexpected(Failure{Failure::Code::other, nothing.error()});
        const Outcome<Json> answer =
            ask(*nothing, {.body = {{"operation", "deactivate"}, {"name", name}, {"force", how == Closing::force}}});
        if (!answer) return std::unexpected(answer.error());
        return {};
    }

    Result<bool> resume(const std::string& name) override { return resume_device(name); }
    Result<std::vector<Mapping>> mappings() override { return list_mappings(block_devices_); }
    Result<bool> holds_file_system(const std::string& name) override { return begins_with_file_system(name); }
    Result<bool> mounted(const std::string& name, const fs::path& place) override { return is_mounted(name, place); }

 private:
    Outcome<int> slot_of(const std::string& image, const Request& request) {
        const Result<FileDescriptor> file = memory_file(image, largest_image);
        if (!file) return std::unexpected(Failure{Failure::Code::other, file.error()});
        const Outcome<Json> answer = ask(*file, request);
        if (!answer) return std::unexpected(answer.error());
        return answer->value("slot", -1);
    }

    /// The image as the helper left it.
    Outcome<std::string> changed(const std::string& image, std::uint64_t size, const Request& request) {
        const auto other = [](const base::Error& error) {
            return std::unexpected(Failure{Failure::Code::other, error});
        };
        const Result<FileDescriptor> file = memory_file(image, size);
        if (!file) return other(file.error());
        const Outcome<Json> answer = ask(*file, request);
        if (!answer) return std::unexpected(answer.error());
        const Result<Copies> copies =
            read_copies([&](std::uint64_t offset, std::uint64_t length) { return content_of(*file, offset, length); });
        if (!copies) return other(copies.error());
        const std::uint64_t end = copies->header ? end_of_areas(*copies->header) : 0;
        if (end == 0) return other({"read", "the header that was just made", "it is not sound", "report this"});
        Result<std::string> made = content_of(*file, 0, end);
        if (!made) return other(made.error());
        return *std::move(made);
    }

    Outcome<Json> ask(const FileDescriptor& image, const Request& request) {
        const std::scoped_lock one_at_a_time(mutex_);
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
            return std::unexpected(failure("start", helper_.string(), base::errno_text(errno)));
        const FileDescriptor ours = moved_up(ends[0]);
        FileDescriptor theirs = moved_up(ends[1]);
        if (!ours || !theirs) return std::unexpected(failure("start", helper_.string(), base::errno_text(errno)));
        Child child(helper_, theirs.get(), image.get());
        theirs = FileDescriptor();
        if (child.error() != 0)
            return std::unexpected(failure("start", helper_.string(), base::errno_text(child.error()),
                                           "install safe-key-helper beside this program or in " SAFE_LIBEXEC_DIR));
        // A helper that ends early has said why, or its end tells.
        const Result<void> sent = luks::send(ours.get(), request);
        const Result<Received> answer = receive(ours.get());
        const int status = child.wait();
        if (!answer) {
            if (WIFSIGNALED(status))
                return std::unexpected(failure(
                    "use", "a key", fmt::format("the key helper was ended by signal {}", WTERMSIG(status)),
                    WTERMSIG(status) == SIGKILL ? "the kernel does that when memory runs out: free some, try again"
                                                : "",
                    WTERMSIG(status) == SIGKILL ? Failure::Code::out_of_memory : Failure::Code::other));
            return std::unexpected(Failure{Failure::Code::other, sent ? answer.error() : sent.error()});
        }
        if (answer->body.contains("failure")) return std::unexpected(failure_from(answer->body["failure"]));
        return answer->body.value("ok", Json::object());
    }

    const fs::path helper_;
    const fs::path block_devices_;
    std::mutex mutex_;  // derivations one at a time, each with all the memory it needs
};

}  // namespace

std::unique_ptr<Api> make_helper_api(fs::path helper, fs::path block_devices) {
    return std::make_unique<HelperApi>(std::move(helper), std::move(block_devices));
}

fs::path usual_helper() {
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    fs::path beside = self.parent_path() / "safe-key-helper";
    if (!error && fs::exists(beside, error)) return beside;
    return fs::path(SAFE_LIBEXEC_DIR) / "safe-key-helper";
}

}  // namespace safe::luks
