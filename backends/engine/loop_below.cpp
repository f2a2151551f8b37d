// asyncio knows one running loop and one running task a thread.
#include "engine.hpp"

namespace ep {

namespace {

// An attribute that is called with C's own code only, so that no interrupt is raised in between. Null when it fails.
template <class... Args> py::Ref call(const py::Ref &module, const char *name, Args... args) noexcept {
    py::Ref function = py::Ref::steal(PyObject_GetAttrString(module.get(), name));
    return function ? py::Ref::steal(PyObject_CallFunctionObjArgs(function.get(), args..., nullptr)) : py::Ref{};
}

// What asyncio keeps in C, if anybody has imported it.
py::Ref accelerator() noexcept {
    py::Ref name = py::Ref::steal(PyUnicode_InternFromString("_asyncio"));
    PyObject *module = nullptr;
    const bool found = name && py::compat::dict_get(PyImport_GetModuleDict(), name.get(), &module) == 1;
    return found ? py::Ref::steal(module) : py::Ref{};
}

// The task that runs on a loop, and another in its place. Before Python 3.12 there is one for each loop.
py::Ref swap_task(const py::Ref &asyncio, PyObject *loop, PyObject *task) noexcept {
    return call(asyncio, "_swap_current_task", loop, task);
}

} // namespace

void LoopBelow::set_aside() noexcept {
    loop_ = call(asyncio_, "_get_running_loop");
    if (loop_ && loop_.get() != Py_None) {
        task_ = swap_task(asyncio_, loop_.get(), Py_None);
        PyErr_Clear();
        call(asyncio_, "_set_running_loop", Py_None);
    }
    PyErr_Clear();
}

void forget_running_loop() noexcept {
    if (py::Ref asyncio = accelerator()) {
        py::Ref loop = call(asyncio, "_get_running_loop");
        if (loop && loop.get() != Py_None) {
            swap_task(asyncio, loop.get(), Py_None);
            PyErr_Clear();
            call(asyncio, "_set_running_loop", Py_None);
        }
    }
    PyErr_Clear();
}

LoopBelow::LoopBelow(ep_interp &interp, bool nested) noexcept : interp_(interp) {
    if (nested && (asyncio_ = accelerator())) {
        set_aside();
    }
    PyErr_Clear();
}

LoopBelow::~LoopBelow() {
    py::Ref loop = std::move(loop_);
    py::Ref task = std::move(task_);
    // An interrupt may have hit a loop that was about to say that it runs no more.
    if (was_interrupted(interp_) && (asyncio_ || (asyncio_ = accelerator()))) {
        set_aside();
    }
    if (loop && loop.get() != Py_None) {
        call(asyncio_, "_set_running_loop", loop.get());
        if (task) {
            swap_task(asyncio_, loop.get(), task.get());
        }
    }
    PyErr_Clear();
}

} // namespace ep
