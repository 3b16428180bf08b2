// Wrong passwords, remembered until the test ends.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "reconciler/members/attempts.hpp"

namespace safe::test {

class MemoryAttempts final : public members::AttemptStore {
 public:
    base::Result<members::Attempts> load(std::string_view user, std::string_view source) override {
        return kept_[{std::string(user), std::string(source)}];
    }
    base::Result<void> keep(std::string_view user, std::string_view source,
                            const members::Attempts& attempts) override {
        kept_[{std::string(user), std::string(source)}] = attempts;
        return {};
    }

 private:
    std::map<std::pair<std::string, std::string>, members::Attempts> kept_;
};

}  // namespace safe::test
