#include "plugins/libvirt/witnessed_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>

namespace safe::libvirt {
namespace {

using base::Result;

class WitnessedApi final : public Api {
 public:
    WitnessedApi(std::shared_ptr<Api> libvirt, Witness witness)
        : libvirt_(std::move(libvirt)), witness_(std::move(witness)) {}

    Result<Host> host() override { return libvirt_->host(); }

    Result<std::vector<Domain>> domains(View view, Which which) override {
        const auto listed = [&] { return libvirt_->domains(view, which); };
        return unless_forgotten(listed, [](const std::vector<Domain>& domains, const Emulator& emulator) {
            const auto known = std::ranges::find(domains, emulator.uuid, &Domain::uuid);
            return known != domains.end() && known->active;
        });
    }
    Result<std::optional<Domain>> domain_named(const std::string& name, View view) override {
        return found_or_absent([&] { return libvirt_->domain_named(name, view); });
    }
    Result<std::optional<Domain>> domain_with(const std::string& uuid, View view) override {
        return found_or_absent([&] { return libvirt_->domain_with(uuid, view); });
    }

    Result<void> define_domain(const std::string& xml) override { return libvirt_->define_domain(xml); }
    Result<void> set_autostart(const std::string& uuid, bool on) override { return libvirt_->set_autostart(uuid, on); }
    Result<void> set_metadata(const std::string& uuid, const Metadata& metadata, Affect affect) override {
        return libvirt_->set_metadata(uuid, metadata, affect);
    }
    Result<void> start(const std::string& uuid) override { return libvirt_->start(uuid); }
    Result<void> press_power_button(const std::string& uuid) override { return libvirt_->press_power_button(uuid); }
    Result<void> cut_power(const std::string& uuid) override { return libvirt_->cut_power(uuid); }
    Result<void> pause(const std::string& uuid) override { return libvirt_->pause(uuid); }
    Result<void> resume(const std::string& uuid) override { return libvirt_->resume(uuid); }
    Result<void> save(const std::string& uuid, const std::string& file) override { return libvirt_->save(uuid, file); }
    Result<void> abort_job(const std::string& uuid) override { return libvirt_->abort_job(uuid); }
    Result<void> restore(const std::string& file) override { return libvirt_->restore(file); }
    Result<std::string> saved_definition(const std::string& file) override { return libvirt_->saved_definition(file); }
    Result<void> set_memory(const std::string& uuid, std::uint64_t bytes) override {
        return libvirt_->set_memory(uuid, bytes);
    }
    Result<void> set_cpus(const std::string& uuid, unsigned count) override { return libvirt_->set_cpus(uuid, count); }
    Result<void> resize_disk(const std::string& uuid, const std::string& file, std::uint64_t bytes) override {
        return libvirt_->resize_disk(uuid, file, bytes);
    }

    Result<std::vector<Network>> networks() override {
        return unless_forgotten([&] { return libvirt_->networks(); },
                                [&](const std::vector<Network>& /*networks*/, const Emulator& emulator) {
                                    const Result<std::optional<Domain>> known =
                                        libvirt_->domain_with(emulator.uuid, View::live);
                                    // Not asked for here: whoever asks for machines hears of the failure.
                                    return !known || (*known && (*known)->active);
                                });
    }
    Result<void> define_network(const std::string& xml) override { return libvirt_->define_network(xml); }
    Result<void> start_network(const std::string& name) override { return libvirt_->start_network(name); }
    Result<void> stop_network(const std::string& name) override { return libvirt_->stop_network(name); }
    Result<void> set_network_autostart(const std::string& name, bool on) override {
        return libvirt_->set_network_autostart(name, on);
    }
    Result<void> edit_reservation(const std::string& name, Edit edit, const std::string& host) override {
        return libvirt_->edit_reservation(name, edit, host);
    }

 private:
    /// libvirt calls a guest running before it starts QEMU, and stopped after QEMU has ended. So one whose process is
    /// there both before and after libvirt was asked, and which libvirt did not call running, is forgotten.
    template <typename Ask, typename Knows>
    auto unless_forgotten(const Ask& ask, const Knows& knows) -> decltype(ask()) {
        const Result<std::vector<Emulator>> running = witness_.running();
        if (!running) return base::fail(running.error());
        auto answer = ask();
        if (!answer) return answer;
        for (const Emulator& emulator : *running)
            if (!knows(*answer, emulator) && witness_.still_runs(emulator)) return base::fail(forgotten(emulator));
        return answer;
    }

    template <typename Ask>
    Result<std::optional<Domain>> found_or_absent(const Ask& ask) {
        return unless_forgotten(ask, [&](const std::optional<Domain>& domain, const Emulator& emulator) {
            if (domain && domain->uuid == emulator.uuid) return domain->active;
            if (domain) return true;  // another one is there: enough to be shown it
            const Result<std::optional<Domain>> known = libvirt_->domain_with(emulator.uuid, View::live);
            return !known || (*known && (*known)->active);
        });
    }

    static base::Error forgotten(const Emulator& emulator) {
        return {.attempt = "rely on what libvirt says",
                .object = "vm/" + emulator.vm,
                .cause = fmt::format("its guest runs as process {}, and libvirt does not know that: it has lost its "
                                     "records, so nothing that it does not show is taken for absent",
                                     emulator.process),
                .advice = fmt::format("give libvirtd back its files (/etc/libvirt/qemu, /run/libvirt/qemu) and restart "
                                      "it; or, when that guest may go, end it: kill {}",
                                      emulator.process)};
    }

    const std::shared_ptr<Api> libvirt_;
    const Witness witness_;
};

/// One listing for everything that is asked within a moment: a look asks four times at once, and a host may have
/// thousands of processes. An older listing accuses nobody wrongly, for who is in it must run still.
class RecentEmulators {
 public:
    explicit RecentEmulators(std::string safe) : safe_(std::move(safe)) {}

    Result<std::vector<Emulator>> get() {
        constexpr auto moment = std::chrono::milliseconds(500);
        const std::scoped_lock lock(mutex_);
        if (listed_ && Clock::now() - at_ < moment) return *listed_;
        at_ = Clock::now();
        Result<std::vector<Emulator>> now = emulators_of(safe_);
        listed_ = now ? std::optional(*now) : std::nullopt;
        return now;
    }

 private:
    using Clock = std::chrono::steady_clock;

    const std::string safe_;
    std::mutex mutex_;
    Clock::time_point at_;
    std::optional<std::vector<Emulator>> listed_;
};

}  // namespace

Witness kernel_witness(const std::string& safe) {
    return {.running = [recent = std::make_shared<RecentEmulators>(safe)] { return recent->get(); },
            .still_runs = [](const Emulator& emulator) { return still_runs(emulator); }};
}

std::shared_ptr<Api> witnessed(std::shared_ptr<Api> libvirt, Witness witness) {
    return std::make_shared<WitnessedApi>(std::move(libvirt), std::move(witness));
}

}  // namespace safe::libvirt
