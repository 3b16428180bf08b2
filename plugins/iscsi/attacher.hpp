// Attaching and detaching one volume, step by step, each of which may be the last before a kill: the identity is
// pinned, then the node record is written, the session logged in, the one unit scanned, and the link made; detaching
// goes the other way. Whatever is there already is used. Refers to what the driver owns. Not for two threads at once,
// but for ask(), which changes nothing on this host.
#pragma once

#include "plugins/iscsi/identity.hpp"
#include "plugins/iscsi/inventory.hpp"
#include "plugins/iscsi/iscsi_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/places.hpp"

namespace safe::iscsi {

/// What is asked of a volume.
struct Order {
    std::string volume;
    Address address;
    bool writable = true;
    std::optional<Chap> chap;
    Timeouts timeouts;
};

class Attacher {
 public:
    Attacher(const specs::SafeSpec& spec, const driver::Places& places, std::filesystem::path devices, Prober& prober,
             Host& host);

    /// The host as it is, with volumes matched. An error: it could not be looked at.
    [[nodiscard]] base::Result<World> look() const;

    /// From user space: the target, and whether it has what was declared and recorded. Bounded in time.
    [[nodiscard]] base::Result<Found> ask(const Order& order, const driver::Context& context) const;

    /// After ask(). A failure leaves nothing half made, unless we are killed.
    [[nodiscard]] base::Result<void> attach(const Order& order, const Found& found,
                                            const driver::Context& context) const;

    /// `name`: a volume, or the name of a remnant. Refuses while something lies on the device, and says what.
    [[nodiscard]] base::Result<void> detach(const std::string& name, const driver::Context& context) const;

 private:
    [[nodiscard]] base::Result<void> bring_up(const Order& order, const Found& found,
                                              const driver::Context& context) const;
    [[nodiscard]] base::Result<void> make_link(const std::string& volume, const std::string& device) const;
    [[nodiscard]] base::Result<void> remove_link(const std::string& volume) const;
    [[nodiscard]] base::Result<void> read_links(World& world) const;
    void drop_writing_back(const Session& session, const Unit& unit, const driver::Context& context,
                           base::Result<void>& outcome) const;

    const specs::SafeSpec& spec_;
    driver::Places places_;
    std::filesystem::path devices_;
    std::string mark_;
    IdentityStore identities_;
    Prober& prober_;
    Host& host_;
};

[[nodiscard]] Address address_of(const specs::IscsiSpec& spec);

}  // namespace safe::iscsi
