// Contexts that run in the main interpreter: what the modes worker and freethreaded are.
#pragma once

#include "engine.hpp"

namespace ep {

extern const Mode shared_mode;

} // namespace ep
