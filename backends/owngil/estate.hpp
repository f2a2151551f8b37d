// Objects whose memory Erlang looks at, and that their interpreter has left behind when it ended.
#pragma once

#include "../engine/engine.hpp"

#include <vector>

namespace ep {

// Before the attached interpreter ends: takes what it has lent out of its count of blocks. Python keeps all the memory
// of an interpreter that ends with blocks left. May wait for the main interpreter's GIL.
void write_off(size_t blocks);

// They go with their interpreter's end; it must have ended. Detached; may wait for the main interpreter's GIL.
void leave_estate(uint64_t interpreter, const std::vector<Slots::Lent> &lent);

// ep_backend.take_back.
void take_back(uint64_t interpreter, uint64_t slot) noexcept;

} // namespace ep
