// KeyRing: the key with which this run may open the vault, if a person has given one. Filled before the drivers are
// asked anything and not changed while they are at work, so that a plan made with it is a pure function of whether and
// whose; emptied (and so wiped) when the run is over. What needs a key while the ring is empty *waits for a key*.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reconciler/base/key_derivation.hpp"
#include "reconciler/base/secret.hpp"

namespace safe::driver {

/// The subkey "luks" of a password, and what it was derived with: good for a header that says the same.
struct DerivedKey {
    base::Secret luks;
    std::vector<std::byte> salt;
    base::DerivationCost cost;
};

struct MemberKey {
    std::string user;       // a name of the spec's users; whose keyslot it is
    base::Secret password;  // as typed; base/key_derivation.hpp makes keys of it, where they are used
    std::optional<DerivedKey> derived = std::nullopt;  // from when it was tried, so that nothing is derived twice
};

class KeyRing {
 public:
    void put(MemberKey key) { key_ = std::move(key); }
    void clear() { key_.reset(); }
    /// nullptr when nobody has given one.
    [[nodiscard]] const MemberKey* member() const { return key_ ? &*key_ : nullptr; }

 private:
    std::optional<MemberKey> key_;
};

}  // namespace safe::driver
