#include "errors.hpp"

#include "source.hpp"

#include <atomic>
#include <cstring>

namespace ep {

namespace {

// Exception classes that code outside the standard builtins defines may become this many new atoms in a VM.
std::atomic<int> new_names_left{1000};

constexpr Py_ssize_t longest_message = 64 * 1024; // characters

bool is_builtin(PyTypeObject *type) {
    return std::strchr(type->tp_name, '.') == nullptr && (type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0;
}

const char *short_name(PyTypeObject *type) {
    const char *dot = std::strrchr(type->tp_name, '.');
    return dot != nullptr ? dot + 1 : type->tp_name;
}

// An atom for the class's own name, if there is one or may be a new one.
bool name_atom(ErlNifEnv *env, PyTypeObject *type, ERL_NIF_TERM &atom) {
    const char *name = short_name(type);
    if (is_builtin(type)) {
        atom = enif_make_atom(env, name);
        return true;
    }
    auto made = make_atom(env, name, ERL_NIF_BIN2TERM_SAFE);
    if (!made && new_names_left.fetch_sub(1) > 0) {
        made = make_atom(env, name);
    }
    if (!made) {
        new_names_left.fetch_add(1); // too many already, or too long
        return false;
    }
    atom = *made;
    return true;
}

py::Ref message_of(PyObject *exception) {
    PyObject *text = PyObject_Str(exception);
    if (text == nullptr) {
        PyErr_Clear();
        text = PyUnicode_FromString("<no message: its __str__ raises>");
    }
    return py::Ref::check(text);
}

ERL_NIF_TERM describe(ErlNifEnv *env, PyObject *exception) {
    PyTypeObject *type = Py_TYPE(exception);
    py::Ref message = message_of(exception);
    ERL_NIF_TERM name;
    if (!name_atom(env, type, name)) {
        // Too many names already: the nearest class that has one, and the name in front of the message.
        message = py::Ref::check(PyUnicode_FromFormat("%s: %U", short_name(type), message.get()));
        do {
            type = type->tp_base;
        } while (!is_builtin(type));
        name = enif_make_atom(env, short_name(type));
    }
    return enif_make_tuple2(env, name, make_charlist(env, message.get(), longest_message));
}

} // namespace

ERL_NIF_TERM take_error(ErlNifEnv *env, Interpreter &interpreter) {
    py::Ref exception = py::Ref::steal(py::compat::take_exception());
    if (!exception) { // only if an extension failed without an exception
        return enif_make_tuple2(env, engine().error, enif_make_atom(env, "unknown_error"));
    }
    return error_of(env, interpreter, exception.get());
}

ERL_NIF_TERM error_of(ErlNifEnv *env, Interpreter &interpreter, PyObject *exception) {
    ERL_NIF_TERM reason;
    if (PyErr_GivenExceptionMatches(exception, interpreter.state->interrupted.get())) {
        reason = engine().interrupted;
    } else if (PyErr_GivenExceptionMatches(exception, interpreter.state->wrong_interpreter.get())) {
        reason = engine().env_wrong_interpreter;
    } else {
        try {
            reason = describe(env, exception);
        } catch (const py::Raised &) {
            PyErr_Clear();
            reason =
                enif_make_tuple2(env, enif_make_atom(env, "MemoryError"), enif_make_string(env, "", ERL_NIF_LATIN1));
        }
    }
    return enif_make_tuple2(env, engine().error, reason);
}

} // namespace ep
