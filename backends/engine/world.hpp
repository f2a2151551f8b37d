// The other threads of an interpreter, stopped for a moment.
#pragma once

#include "compat.hpp"

#ifdef Py_GIL_DISABLED
#include <dlfcn.h>
#endif

namespace ep {

// While one exists no other thread of the interpreter runs Python. Where there is a GIL the attached thread has that
// anyway. Without one it is what CPython itself does to look at other threads' frames (sys._current_frames); the
// functions are exported and not public, so they may be missing: then nothing is stopped.
class World {
public:
    explicit World(PyInterpreterState *interpreter) : interpreter_(interpreter) { call("_PyEval_StopTheWorld"); }
    ~World() { call("_PyEval_StartTheWorld"); }
    World(const World &) = delete;
    World &operator=(const World &) = delete;

private:
#ifdef Py_GIL_DISABLED
    void call(const char *name) const {
        if (auto function = reinterpret_cast<void (*)(PyInterpreterState *)>(dlsym(RTLD_DEFAULT, name))) {
            function(interpreter_);
        }
    }
#else
    void call(const char *) const {}
#endif

    [[maybe_unused]] PyInterpreterState *interpreter_;
};

} // namespace ep
