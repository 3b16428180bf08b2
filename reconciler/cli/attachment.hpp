// The vault's disk, for commands that change its header. A closed safe whose vault is on iSCSI has it detached; it is
// attached while this lives. Killed in between, the next apply detaches it, because the mode wants it away. The caller
// holds the safe's lock. One thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "reconciler/applying/executor.hpp"
#include "reconciler/cli/menu.hpp"

namespace safe::cli {

class Attachment {
 public:
    /// Touches nothing where the disk is there already, as it should be, and where none has to be attached (`file:`,
    /// `device:`). `spec` outlives it. An Error, with nothing attached, when the disk cannot be had or is not the one
    /// on record.
    [[nodiscard]] static base::Result<std::unique_ptr<Attachment>> take(const specs::SafeSpec& spec,
                                                                        const driver::Places& places,
                                                                        const Surroundings& around);

    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;
    Attachment(Attachment&&) = delete;
    Attachment& operator=(Attachment&&) = delete;
    ~Attachment();

    /// Detaches what was attached; once. An Error says that it stays.
    [[nodiscard]] base::Result<void> give_back();

 private:
    Attachment(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around);
    [[nodiscard]] base::Result<void> attach(const specs::SafeSpec& spec);
    /// An Error when the vault is open: what stands on its disk is no matter of ours.
    [[nodiscard]] base::Result<void> must_be_closed(const std::string& vault, const model::Resource& session);
    [[nodiscard]] base::Result<void> carry_out(model::Action action, const model::Resource& session,
                                               const model::Observation& observed);

    driver::KeyRing no_key_;
    applying::DriverSet drivers_;
    applying::Listener nobody_;
    std::filesystem::path journal_;
    std::stop_token stop_;
    std::string safe_;
    std::optional<model::Resource> attached_;
};

}  // namespace safe::cli
