// Exceptions from outside for code that runs.
#include "engine.hpp"
#include "world.hpp"

#include <utility>

namespace ep {

namespace {

// Whether the innermost Python code of a thread is the import system's own: an exception in the middle of that leaves a
// module's lock taken, and every later import of the module waits for ever. Code of a module that is being imported is
// not meant: what it raises passes through the import system in order. The thread must not run meanwhile.
bool is_importing(PyThreadState *thread) {
    PyFrameObject *frame = PyThreadState_GetFrame(thread);
    if (frame == nullptr) {
        return false;
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    bool importing = false;
    for (const char *file : {"<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"}) {
        importing = importing || PyUnicode_CompareWithASCIIString(code->co_filename, file) == 0;
    }
    Py_DECREF(code);
    Py_DECREF(frame);
    return importing;
}

void set_interrupted(ep_interp &interp) {
    py::compat::set_async_exception(interp.thread, interp.interpreter->state->interrupted.get());
    interp.interrupted = interp.running;
}

} // namespace

bool raise_interrupted(ep_interp &interp, uint64_t serial) {
    if (!py::compat::has_gil) {
        // Stopping the others to look at a thread would make them wait for a C function that one is in. It need not be
        // done for a request that has imported nothing: before it does, note_import() looks whether it was interrupted.
        std::lock_guard lock{interp.interrupt_mutex};
        if (interp.running != serial) {
            return false;
        }
        if (!interp.imports) {
            set_interrupted(interp);
            return true;
        }
    }
    World stopped{interp.interpreter->python};
    // Taken attached by the thread itself, so that with a GIL it is free; without one it may have been stopped with it.
    std::unique_lock lock{interp.interrupt_mutex, std::try_to_lock};
    if (!lock || interp.running != serial || is_importing(interp.thread)) {
        return false;
    }
    set_interrupted(interp);
    return true;
}

bool note_import() {
    ep_interp *interp = current_interp();
    if (py::compat::has_gil || interp == nullptr) {
        return true;
    }
    std::lock_guard lock{interp->interrupt_mutex};
    interp->imports = true;
    if (interp->interrupted == 0 || !py::compat::async_exception_pending(interp->thread)) {
        return true;
    }
    py::compat::set_async_exception(interp->thread, nullptr);
    PyErr_SetNone(interp->interpreter->state->interrupted.get());
    return false;
}

void forget_interrupt(ep_interp &interp) {
    std::lock_guard lock{interp.interrupt_mutex};
    if (std::exchange(interp.interrupted, 0) != 0) {
        py::compat::set_async_exception(interp.thread, nullptr);
    }
}

Running::Running(ep_interp &interp, uint64_t serial) : interp_(interp) {
    std::lock_guard lock{interp_.interrupt_mutex};
    forget();
    below_ = std::exchange(interp_.running, serial);
    imports_below_ = std::exchange(interp_.imports, false);
}

Running::~Running() {
    std::lock_guard lock{interp_.interrupt_mutex};
    forget();
    interp_.running = below_;
    interp_.imports = imports_below_;
}

void Running::forget() {
    if (std::exchange(interp_.interrupted, 0) != 0) {
        py::compat::set_async_exception(interp_.thread, nullptr);
    }
}

} // namespace ep
