// The import system, watched: without a GIL nobody can look at a thread to see what it does.
//
// Source: Lib/importlib/_bootstrap.py. What takes a module's lock are the functions named here; C code and Python code
// look them up by name each time. They run the code of modules by way of _call_with_frames_removed.
#include "engine.hpp"

namespace ep {

namespace {

template <bool importing>
PyObject *watched(PyObject *original, PyObject *const *args, Py_ssize_t count, PyObject *names) noexcept {
    Importing guard;
    if (!guard.enter(importing)) {
        return guard.leave(nullptr);
    }
    return guard.leave(PyObject_Vectorcall(original, args, static_cast<size_t>(count), names));
}

// The lock of the whole import system, for which the same holds: a module's lock that dies takes it, its last reference
// may be a traceback's.
PyObject *watched_acquire(PyObject *original, PyObject *) noexcept {
    if (!enter_uninterruptible(&ep_interp::import_locks)) {
        return nullptr;
    }
    PyObject *result = PyObject_CallNoArgs(original);
    if (result == nullptr) {
        leave_uninterruptible(&ep_interp::import_locks);
    }
    return result;
}

PyObject *watched_release(PyObject *original, PyObject *) noexcept {
    PyObject *result = PyObject_CallNoArgs(original);
    leave_uninterruptible(&ep_interp::import_locks);
    return result;
}

PyMethodDef import_method = {"watched_import", py::as_function(watched<true>), METH_FASTCALL | METH_KEYWORDS, nullptr};
PyMethodDef code_method = {"watched_code", py::as_function(watched<false>), METH_FASTCALL | METH_KEYWORDS, nullptr};
PyMethodDef acquire_method = {"acquire_lock", watched_acquire, METH_NOARGS, nullptr};
PyMethodDef release_method = {"release_lock", watched_release, METH_NOARGS, nullptr};

void watch(PyObject *module, const char *name, PyMethodDef &method) {
    py::Ref original = py::Ref::steal(PyObject_GetAttrString(module, name));
    if (!original) {
        PyErr_Clear(); // another version of Python
        return;
    }
    py::Ref function = py::Ref::check(PyCFunction_New(&method, original.get()));
    py::check(PyObject_SetAttrString(module, name, function.get()));
}

} // namespace

void watch_imports() {
    py::Ref module = py::Ref::check(PyImport_ImportModule("importlib._bootstrap"));
    for (const char *name : {"_find_and_load", "_lock_unlock_module", "_exec", "_load"}) {
        watch(module.get(), name, import_method);
    }
    watch(module.get(), "_call_with_frames_removed", code_method);
    py::Ref locks = py::Ref::check(PyImport_ImportModule("_imp"));
    watch(locks.get(), "acquire_lock", acquire_method);
    watch(locks.get(), "release_lock", release_method);
}

} // namespace ep
