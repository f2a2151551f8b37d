#include "ending.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace ep {

namespace {

constexpr std::chrono::milliseconds longest_pause{500};
constexpr int most_attempts = 5;

// Calls a function of a module that is imported already. False: it was interrupted.
bool call(const char *module_name, const char *function) {
    py::Ref name = py::Ref::steal(PyUnicode_FromString(module_name));
    py::Ref module = py::Ref::steal(name ? PyImport_GetModule(name.get()) : nullptr);
    if (module) {
        py::Ref done = py::Ref::steal(PyObject_CallMethod(module.get(), function, nullptr));
        if (!done && PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_WriteUnraisable(module.get()); // clears it
        }
    }
    const bool interrupted = PyErr_Occurred() != nullptr;
    PyErr_Clear();
    return !interrupted;
}

bool is_alone(PyThreadState *self) {
    PyThreadState *first = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(self));
    return first == self && PyThreadState_Next(first) == nullptr;
}

// Threads that are daemons, or that the module threading knows nothing of, have no join.
void wait_until_alone(PyThreadState *self) {
    auto pause = std::chrono::milliseconds{1};
    while (!is_alone(self)) {
        PyEval_SaveThread();
        std::this_thread::sleep_for(pause);
        PyEval_RestoreThread(self);
        pause = std::min(2 * pause, longest_pause);
    }
}

} // namespace

void silence_threads() {
    py::Ref name = py::Ref::steal(PyUnicode_FromString("threading"));
    py::Ref threading = py::Ref::steal(name ? PyImport_GetModule(name.get()) : nullptr);
    if (threading) {
        py::Ref module = py::Ref::steal(PyImport_ImportModule("erlang._ending"));
        py::Ref done = py::Ref::steal(module ? PyObject_CallMethod(module.get(), "silence", nullptr) : nullptr);
    }
    PyErr_Clear();
}

void end_threads(PyThreadState *thread, Interrupter &interrupter) {
    // What Py_EndInterpreter would do itself, too, and interrupt nobody for. Whoever interrupts does not know how far
    // this thread is: on a busy machine it may not have told the workers of executors to end yet, and those wait for
    // that in a C function.
    for (int attempt = 0; attempt < most_attempts && !call("threading", "_shutdown"); ++attempt) {
    }
    call("atexit", "_run_exitfuncs");
    do {
        wait_until_alone(thread); // the interrupter's own thread counts while it delivers
        PyEval_SaveThread();
        interrupter.stop();
        PyEval_RestoreThread(thread);
    } while (!is_alone(thread));
    py::compat::set_async_exception(thread, nullptr);
}

} // namespace ep
