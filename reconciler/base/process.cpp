#include "reconciler/base/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::base {
namespace {

constexpr std::size_t most_kept = std::size_t{1} << 20;

struct Pipe {
    FileDescriptor read;
    FileDescriptor write;
};

Result<Pipe> make_pipe(const std::string& program) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return fail({.attempt = "run", .object = program, .cause = errno_text(errno)});
    return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

/// The settings of posix_spawn(3), freed whatever happens.
class SpawnSettings {
 public:
    SpawnSettings(int output, int errors) {
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
        ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        ::posix_spawnattr_init(&attributes);
        sigset_t all;
        sigset_t none;
        ::sigfillset(&all);
        ::sigemptyset(&none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    SpawnSettings(SpawnSettings&&) = delete;
    SpawnSettings& operator=(SpawnSettings&&) = delete;
    ~SpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    }

    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};
};

/// Reads both until both are closed at the other end.
void drain(const FileDescriptor& output, const FileDescriptor& errors, Finished& finished) {
    std::array<pollfd, 2> waiting{{{output.get(), POLLIN, 0}, {errors.get(), POLLIN, 0}}};
    const std::array<std::string*, 2> kept{&finished.output, &finished.errors};
    while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
        if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
        for (std::size_t i = 0; i < waiting.size(); ++i) {
            if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
            std::array<char, 4096> buffer{};
            const ssize_t got = ::read(waiting[i].fd, buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0)
                waiting[i].fd = -1;
            else if (kept[i]->size() < most_kept)
                kept[i]->append(buffer.data(), static_cast<std::size_t>(got));
        }
    }
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 127;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<Finished> run_process(const std::vector<std::string>& arguments) {
    const std::string& program = arguments.front();
    Result<Pipe> output = make_pipe(program);
    if (!output) return fail(output.error());
    Result<Pipe> errors = make_pipe(program);
    if (!errors) return fail(errors.error());

    // posix_spawnp looks the program up in our own PATH, not in the one it is given: so it is looked up by us.
    std::string path = program;
    if (path.find('/') == std::string::npos)
        for (const char* directory : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
            if (::access((directory + program).c_str(), X_OK) == 0) {
                path = directory + program;
                break;
            }
    std::vector<std::string> copies = arguments;
    std::vector<char*> argv;
    argv.reserve(copies.size() + 1);
    for (std::string& argument : copies) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::string search = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    std::string locale = "LC_ALL=C";
    std::array<char*, 3> environment{search.data(), locale.data(), nullptr};

    const SpawnSettings settings(output->write.get(), errors->write.get());
    pid_t child = -1;
    const int failed =
        ::posix_spawn(&child, path.c_str(), &settings.actions, &settings.attributes, argv.data(), environment.data());
    if (failed != 0)
        return fail({.attempt = "run",
                     .object = program,
                     .cause = errno_text(failed),
                     .advice = failed == ENOENT ? "install the package that has it" : ""});
    output->write = FileDescriptor();
    errors->write = FileDescriptor();
    Finished finished;
    drain(output->read, errors->read, finished);
    finished.status = wait_for(child);
    return finished;
}

}  // namespace safe::base
