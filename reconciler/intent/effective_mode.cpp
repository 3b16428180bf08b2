#include "reconciler/intent/effective_mode.hpp"

namespace safe::intent {

model::Mode effective_mode(specs::WantedMode wanted) {
    switch (wanted) {
        case specs::WantedMode::open:
            return model::Mode::open;
        case specs::WantedMode::locked:
            return model::Mode::locked;
        case specs::WantedMode::automatic:
        case specs::WantedMode::closed:
            return model::Mode::closed;
    }
    return model::Mode::closed;
}

}  // namespace safe::intent
