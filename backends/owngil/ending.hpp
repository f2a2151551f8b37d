// The end of an interpreter.
#pragma once

#include "interrupter.hpp"

namespace ep {

// Ends the attached interpreter, with all threads its Python code has started. Python can only do that once the calling
// thread is the last; code in threads that do not end by themselves is interrupted. False when some of them cannot be
// ended: the interpreter stays then, with its memory, for as long as the VM lives. [context-thread]
bool end_interpreter(PyThreadState *thread, Interrupter &interrupter);

} // namespace ep
