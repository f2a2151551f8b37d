// The end of an interpreter.
#pragma once

#include "interrupter.hpp"

namespace ep {

// From now on threads that end with an interrupt do so without a word. Attached.
void silence_threads();

// Ends all threads the attached interpreter's code has started, so that the calling one is the last: only then can Python
// end the interpreter. Code in threads that do not end by themselves is interrupted; those in a C function are waited for,
// for as long as that takes. [context-thread]
void end_threads(PyThreadState *thread, Interrupter &interrupter);

} // namespace ep
