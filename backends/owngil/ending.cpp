#include "ending.hpp"

#include <chrono>
#include <thread>

namespace ep {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{10}; // with threads that were interrupted and still run

// Calls a function of a module that is imported already.
void call(const char *module_name, const char *function) {
    py::Ref name = py::Ref::steal(PyUnicode_FromString(module_name));
    py::Ref module = py::Ref::steal(name ? PyImport_GetModule(name.get()) : nullptr);
    if (module) {
        py::Ref done = py::Ref::steal(PyObject_CallMethod(module.get(), function, nullptr));
        if (!done && PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_WriteUnraisable(module.get());
        }
    }
    PyErr_Clear(); // it may have been interrupted
}

bool is_alone(PyThreadState *self) {
    PyThreadState *first = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(self));
    return first == self && PyThreadState_Next(first) == nullptr;
}

// Threads that the module threading knows nothing of have no join.
bool wait_until_alone(PyThreadState *self) {
    const auto deadline = Clock::now() + patience;
    auto pause = std::chrono::milliseconds{1};
    while (!is_alone(self)) {
        if (Clock::now() >= deadline) {
            return false;
        }
        PyEval_SaveThread();
        std::this_thread::sleep_for(pause);
        PyEval_RestoreThread(self);
        pause = std::min(2 * pause, std::chrono::milliseconds{50});
    }
    return true;
}

} // namespace

bool end_interpreter(PyThreadState *thread, Interrupter &interrupter) {
    interrupter.hound();
    // What Py_EndInterpreter would do itself, and not come back from while a thread runs on.
    call("threading", "_shutdown");
    call("atexit", "_run_exitfuncs");
    bool alone = wait_until_alone(thread); // counts the interrupter's own state while it delivers
    PyEval_SaveThread();
    interrupter.stop();
    PyEval_RestoreThread(thread);
    py::compat::set_async_exception(thread, nullptr);
    alone = alone && is_alone(thread);
    if (!alone) {
        constexpr std::string_view text = "the interpreter of a stopped context stays: its Python code has started "
                                          "threads that cannot be ended";
        engine().host->log(EP_LEVEL_WARNING, text.data(), text.size());
        PyEval_SaveThread();
        return false;
    }
    Py_EndInterpreter(thread);
    return true;
}

} // namespace ep
