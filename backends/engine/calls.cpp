// erlang.call
#include "builder.hpp"
#include "functions.hpp"

#include <vector>

namespace ep {

namespace {

[[noreturn]] void raise_failed(Interpreter &interpreter, ep_answer &answer) {
    FlatReader reader{answer.value};
    Builder builder{interpreter, nullptr};
    py::Ref reason = replay(reader, builder);
    PyErr_SetObject(PyExc_RuntimeError, reason.get());
    throw py::Raised{};
}

[[noreturn]] void raise_unanswered(ep_interp *interp, ModuleState &state, ep_status status, PyObject *name) {
    switch (status) {
    case EP_TOO_DEEP: py::raise(PyExc_RecursionError, "erlang.call(%R): too many calls of this context wait", name);
    case EP_NO_ANSWER:
        py::raise(PyExc_RuntimeError, "erlang.call(%R): the process that ran it died before it answered", name);
    case EP_NOT_RUNNING:
        py::raise(PyExc_RuntimeError, "erlang.call(%R): the application erlang_python is not running", name);
    default:
        if (interp != nullptr) {
            forget_interrupt(*interp); // raised here and now instead
        }
        py::raise(state.interrupted.get(), "interrupted while erlang.call(%R) waited", name);
    }
}

py::Ref call_erlang(ModuleState &state, PyObject *name, PyObject *const *args, Py_ssize_t count, uint32_t flags) {
    if (!PyUnicode_Check(name) && Py_TYPE(name) != reinterpret_cast<PyTypeObject *>(state.atom.get())) {
        py::raise(PyExc_TypeError, "erlang.call() takes the name of a registered function as a str, not %.100s",
                  Py_TYPE(name)->tp_name);
    }
    Interpreter &interpreter = *state.interpreter;
    ep_interp *interp = current_interp();
    const bool alone = (flags & EP_CALL_ALONE) != 0;
    if (alone && interp != nullptr && was_interrupted(*interp)) {
        return py::Ref::borrow(Py_None); // nobody runs it any more, and what cleans up does not fail for that
    }
    HostEnv env;
    ERL_NIF_TERM name_term = encode(env.get(), interpreter, name);
    std::vector<ERL_NIF_TERM> terms;
    terms.reserve(static_cast<size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        terms.push_back(encode(env.get(), interpreter, args[i]));
    }
    ERL_NIF_TERM list = enif_make_list_from_array(env.get(), terms.data(), static_cast<unsigned>(terms.size()));
    ep_answer answer;
    if (interp != nullptr) {
        engine().host->call(interp->context, env.give_away(), name_term, list, flags, &answer);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        engine().host->call(nullptr, env.give_away(), name_term, list, flags, &answer);
        Py_END_ALLOW_THREADS;
    }
    struct Done {
        ep_answer &answer;
        ~Done() { engine().host->answer_done(&answer); }
    } done{answer};
    if (answer.status == EP_OK) {
        FlatReader reader{answer.value};
        Builder builder{interpreter, interp != nullptr ? &interp->atoms : nullptr};
        return replay(reader, builder);
    }
    if (answer.status == EP_FAILED) {
        raise_failed(interpreter, answer);
    }
    if (alone && interp != nullptr && answer.status == EP_INTERRUPTED && was_interrupted(*interp)) {
        return py::Ref::borrow(Py_None); // the exception is on its way
    }
    raise_unanswered(interp, state, answer.status, name);
}

PyObject *call_with(PyObject *module, PyObject *const *args, Py_ssize_t count, uint32_t flags) noexcept {
    return guarded([&] {
        if (count < 1) {
            py::raise(PyExc_TypeError, "erlang.call() takes the name of a registered function and its arguments");
        }
        return call_erlang(state_of(module), args[0], args + 1, count - 1, flags);
    });
}

} // namespace

PyObject *call_function(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return call_with(module, args, count, 0);
}

PyObject *call_function_alone(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return call_with(module, args, count, EP_CALL_ALONE);
}

} // namespace ep
