// Wrong passwords in the safe's intent, for members/back_off.hpp. Owns nothing; the store outlives it and is used by
// one thread at a time.
#pragma once

#include "reconciler/intent/store.hpp"
#include "reconciler/members/attempts.hpp"

namespace safe::cli {

class WrongPasswords final : public members::AttemptStore {
 public:
    explicit WrongPasswords(intent::Store& store) : store_(store) {}

    [[nodiscard]] base::Result<void> change(std::string_view user, std::string_view source,
                                            const Change& change) override;

 private:
    intent::Store& store_;
};

}  // namespace safe::cli
