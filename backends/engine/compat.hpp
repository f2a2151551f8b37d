// The one place that knows which Python this is. The rest reads as if there were one.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstdint>

#if PY_VERSION_HEX < 0x030B0000
#error "erlang_python needs Python 3.11 or newer"
#endif

namespace py::compat {

#ifdef Py_GIL_DISABLED
inline constexpr bool has_gil = false;
#else
inline constexpr bool has_gil = true;
#endif

// Whether the module threading knows which thread is Python's main one. Otherwise it takes the thread for that on which
// it is imported first; code that may set signal handlers there asks it, and is refused on any but the real one.
inline constexpr bool knows_main_thread = PY_VERSION_HEX >= 0x030D0000;

// The exception that is set, as a new reference; the indicator is cleared. nullptr when none is.
inline PyObject *take_exception() {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type = nullptr;
    PyObject *value = nullptr;
    PyObject *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == nullptr) {
        return nullptr;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != nullptr) {
        PyException_SetTraceback(value, traceback);
    }
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

// The value of a small int without a call. False when it is not small; nothing is raised.
inline bool compact_int(PyObject *object, int64_t &value) {
#if PY_VERSION_HEX >= 0x030C0000
    auto *number = reinterpret_cast<PyLongObject *>(object);
    if (!PyUnstable_Long_IsCompact(number)) {
        return false;
    }
    value = PyUnstable_Long_CompactValue(number);
    return true;
#else
    auto *number = reinterpret_cast<PyLongObject *>(object);
    Py_ssize_t size = Py_SIZE(number);
    if (size < -1 || size > 1) {
        return false;
    }
    value = size * static_cast<int64_t>(number->ob_digit[0]);
    return true;
#endif
}

// A new reference to element i of a list, or nullptr (and nothing raised) behind its end.
inline PyObject *list_item(PyObject *list, Py_ssize_t i) {
#ifdef Py_GIL_DISABLED
    PyObject *item = PyList_GetItemRef(list, i);
    if (item == nullptr) {
        PyErr_Clear();
    }
    return item;
#else
    if (i >= PyList_GET_SIZE(list)) {
        return nullptr;
    }
    PyObject *item = PyList_GET_ITEM(list, i);
    Py_INCREF(item);
    return item;
#endif
}

// A new reference to a dict's value: 1 found, 0 not, -1 raised.
inline int dict_get(PyObject *dict, PyObject *key, PyObject **value) {
#if PY_VERSION_HEX >= 0x030D0000
    return PyDict_GetItemRef(dict, key, value);
#else
    *value = PyDict_GetItemWithError(dict, key);
    if (*value != nullptr) {
        Py_INCREF(*value);
        return 1;
    }
    return PyErr_Occurred() ? -1 : 0;
#endif
}

// The value of a key, set to `value` if there was none, as a new reference; nullptr when it raised.
inline PyObject *dict_set_default(PyObject *dict, PyObject *key, PyObject *value) {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *result = nullptr;
    PyDict_SetDefaultRef(dict, key, value, &result);
    return result;
#else
    PyObject *result = PyDict_SetDefault(dict, key, value);
    Py_XINCREF(result);
    return result;
#endif
}

// Sets the exception that a thread is to raise at its next bytecode; nullptr takes it back. With the GIL, where there is
// one. PyThreadState_SetAsyncExc looks threads up by identifier, and Python 3.11 gives the state of a thread that is just
// starting that of the thread that starts it: whichever comes first in its list gets the exception. So for the length of
// the call the one meant has an identifier that no other has.
inline void set_async_exception(PyThreadState *thread, PyObject *exception) {
#if PY_VERSION_HEX < 0x030C0000
    const unsigned long identifier = thread->thread_id;
    thread->thread_id = reinterpret_cast<unsigned long>(thread);
    PyThreadState_SetAsyncExc(thread->thread_id, exception);
    thread->thread_id = identifier;
#else
    PyThreadState_SetAsyncExc(thread->thread_id, exception);
#endif
}

// Whether the calling thread, whose state this is, has such an exception still before it.
inline bool async_exception_pending(PyThreadState *thread) {
    return __atomic_load_n(&thread->async_exc, __ATOMIC_ACQUIRE) != nullptr;
}

// Compiles UTF-8, for Py_eval_input or Py_file_input; a new reference or nullptr. Python 3.13 without a GIL makes code
// immortal as soon as there is a second thread, with its constants, but not what its own compile() makes (gh-118527).
inline PyObject *compile(const char *source, const char *file, int start) {
#if defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030E0000
    // As text: in bytes a coding cookie would count. What is no UTF-8 has no code; it is refused as everywhere.
    if (PyObject *text = PyUnicode_FromString(source)) {
        const char *mode = start == Py_eval_input ? "eval" : "exec";
        PyObject *code = nullptr;
        if (PyObject *builtins = PyImport_ImportModule("builtins")) {
            const int flags = 0;
            PyObject *inherit_none = Py_True;
            code = PyObject_CallMethod(builtins, "compile", "OssiO", text, file, mode, flags, inherit_none);
            Py_DECREF(builtins);
        }
        Py_DECREF(text);
        return code;
    }
    PyErr_Clear();
#endif
    PyCompilerFlags flags{};
    flags.cf_flags = PyCF_SOURCE_IS_UTF8;
    flags.cf_feature_version = PY_MINOR_VERSION;
    return Py_CompileStringExFlags(source, file, start, &flags, -1);
}

} // namespace py::compat
