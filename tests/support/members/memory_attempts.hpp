// Wrong passwords, remembered until the test ends.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "reconciler/members/attempts.hpp"

namespace safe::test {

class MemoryAttempts final : public members::AttemptStore {
 public:
    base::Result<void> change(std::string_view user, std::string_view source, const Change& change) override {
        members::Attempts& kept = kept_[{std::string(user), std::string(source)}];
        kept = change(kept);
        return {};
    }
    [[nodiscard]] members::Attempts kept(std::string_view user, std::string_view source) const {
        const auto found = kept_.find({std::string(user), std::string(source)});
        return found == kept_.end() ? members::Attempts() : found->second;
    }

 private:
    std::map<std::pair<std::string, std::string>, members::Attempts> kept_;
};

}  // namespace safe::test
