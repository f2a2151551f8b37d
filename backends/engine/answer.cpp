#include "answer.hpp"

#include "builder.hpp"
#include "functions.hpp"

#include <vector>

namespace ep {

void check_name(ModuleState &state, PyObject *name) {
    if (!PyUnicode_Check(name) && Py_TYPE(name) != reinterpret_cast<PyTypeObject *>(state.atom.get())) {
        py::raise(PyExc_TypeError, "erlang.call() takes the name of a registered function as a str, not %.100s",
                  Py_TYPE(name)->tp_name);
    }
}

ERL_NIF_TERM encode_list(ErlNifEnv *env, Interpreter &interpreter, PyObject *const *args, Py_ssize_t count) {
    std::vector<ERL_NIF_TERM> terms;
    terms.reserve(static_cast<size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        terms.push_back(encode(env, interpreter, args[i]));
    }
    return enif_make_list_from_array(env, terms.data(), static_cast<unsigned>(terms.size()));
}

py::Ref Answer::value(Interpreter &interpreter) const {
    ep_interp *interp = current_interp();
    FlatReader reader{answer_.value};
    Builder builder{interpreter, interp != nullptr ? &interp->atoms : nullptr};
    return replay(reader, builder);
}

void Answer::raise(Interpreter &interpreter, PyObject *name) const {
    if (answer_.status == EP_FAILED) {
        PyErr_SetObject(PyExc_RuntimeError, value(interpreter).get());
        throw py::Raised{};
    }
    py::Ref call = py::Ref::check(name != nullptr ? PyUnicode_FromFormat("erlang.call(%R)", name)
                                                  : PyUnicode_FromString("erlang.async_call()"));
    switch (answer_.status) {
    case EP_TOO_DEEP: py::raise(PyExc_RecursionError, "%U: too many calls of this context wait", call.get());
    case EP_NOT_RUNNING: py::raise(PyExc_RuntimeError, "%U: the application erlang_python is not running", call.get());
    default: py::raise(PyExc_RuntimeError, "%U: the process that ran it died before it answered", call.get());
    }
}

} // namespace ep
