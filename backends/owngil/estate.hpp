// Objects whose memory Erlang looks at, and that their interpreter has left behind when it ended.
#pragma once

#include "../engine/engine.hpp"

#include <vector>

namespace ep {

// They go with their interpreter's end; it must have ended. Detached; may wait for the main interpreter's GIL.
void leave_estate(uint64_t interpreter, const std::vector<Slots::Lent> &lent);

// ep_backend.take_back.
void take_back(uint64_t interpreter, uint64_t slot) noexcept;

} // namespace ep
