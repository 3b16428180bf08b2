#include "reconciler/cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <pthread.h>
#include <signal.h>

#include <thread>

#include "reconciler/cli/menu.hpp"

namespace safe::cli {
namespace {

/// Waits for what asks for an orderly stop, which every thread has blocked.
class SignalWatch {
 public:
    explicit SignalWatch(Hangup hangup) {
        sigset_t watched;
        sigemptyset(&watched);
        for (const int signal : {SIGINT, SIGTERM, over}) sigaddset(&watched, signal);
        struct sigaction inherited = {};
        ::sigaction(SIGHUP, nullptr, &inherited);
        if (hangup == Hangup::is_nothing_to_it)
            static_cast<void>(::signal(SIGHUP, SIG_IGN));
        else if (inherited.sa_handler != SIG_IGN)  // as nohup(1) has it
            sigaddset(&watched, SIGHUP);
        sigset_t blocked = watched;
        // Nobody stops what holds the safe's lock in the middle: closing and locking wait for it.
        for (const int signal : {SIGTSTP, SIGTTOU}) sigaddset(&blocked, signal);
        pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
        thread_ = std::jthread([this, watched](const std::stop_token& ended) {
            while (!ended.stop_requested())
                if (const int signal = sigwaitinfo(&watched, nullptr); signal > 0 && signal != over) stop_by(signal);
        });
    }
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;
    SignalWatch(SignalWatch&&) = delete;
    SignalWatch& operator=(SignalWatch&&) = delete;
    ~SignalWatch() {
        thread_.request_stop();
        pthread_kill(thread_.native_handle(), over);  // no command waits at its end for the watch to look by itself
    }

    [[nodiscard]] std::stop_token stop() const { return stop_.get_token(); }
    [[nodiscard]] std::stop_token stop_again() const { return stop_again_.get_token(); }

 private:
    /// That a terminal has gone is told twice, by the shell and by the kernel, and with an order to end by systemd.
    /// Only somebody who says so again means what he has said before.
    void stop_by(int signal) {
        const bool is_said = signal != SIGHUP;
        if (is_said && was_said_) stop_again_.request_stop();
        was_said_ = was_said_ || is_said;
        stop_.request_stop();
    }

    static constexpr int over = SIGUSR1;

    std::stop_source stop_;
    std::stop_source stop_again_;
    bool was_said_ = false;  // the thread's own
    std::jthread thread_;
};

}  // namespace

int run(int argc, char** argv, const Builtin& builtin) {
    // Whoever stops reading what is said ends nothing. Children get it back.
    static_cast<void>(::signal(SIGPIPE, SIG_IGN));
    CLI::App app("Compares what safe.yaml declares with the live system, and converges it.", "safectl");
    app.require_subcommand(1);
    app.set_version_flag("--version", "safectl " SAFE_VERSION);
    app.footer(
        "Exit codes: 0 as asked; 1 an error; 2 (plan --exit-code) steps could run; 3 only waits for a person are left; "
        "4 refused, nothing touched; 130 interrupted.");
    Chosen chosen;
    Menu menu(app, chosen);
    for (const auto add : {add_validate, add_plan, add_apply, add_open, add_close, add_lock, add_unlock, add_user,
                           add_task, add_status, add_discard_state, add_header, add_verify, add_doctor, add_schema})
        add(menu);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? success : failure;
    }
    const SignalWatch signals(chosen.hangup);
    const ExitCode code = chosen.run({builtin, signals.stop(), signals.stop_again()});
    if (const base::Result<void> written = end_of_output(signals.stop()); !written) {
        print_error(written.error(), Format::text);
        wait_until_said(signals.stop());
        return code == success ? failure : code;
    }
    return code;
}

}  // namespace safe::cli
