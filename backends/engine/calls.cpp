// erlang.call
#include "answer.hpp"
#include "functions.hpp"

namespace ep {

namespace {

py::Ref call_erlang(ModuleState &state, PyObject *name, PyObject *const *args, Py_ssize_t count, uint32_t flags) {
    check_name(state, name);
    Interpreter &interpreter = *state.interpreter;
    ep_interp *interp = current_interp();
    const bool alone = (flags & EP_CALL_ALONE) != 0;
    if (alone && interp != nullptr && was_interrupted(*interp)) {
        return py::Ref::borrow(Py_None); // nobody runs it any more, and what cleans up does not fail for that
    }
    HostEnv env;
    ERL_NIF_TERM name_term = encode(env.get(), interpreter, name);
    ERL_NIF_TERM list = encode_list(env.get(), interpreter, args, count);
    ep_answer answer;
    if (interp != nullptr) {
        engine().host->call(interp->context, env.give_away(), name_term, list, flags, &answer);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        engine().host->call(nullptr, env.give_away(), name_term, list, flags, &answer);
        Py_END_ALLOW_THREADS;
    }
    Answer owned{answer};
    if (answer.status == EP_OK) {
        return owned.value(interpreter);
    }
    if (alone && interp != nullptr && answer.status == EP_INTERRUPTED && was_interrupted(*interp)) {
        return py::Ref::borrow(Py_None); // the exception is on its way
    }
    if (answer.status == EP_CLOSED || answer.status == EP_INTERRUPTED) {
        if (interp != nullptr) {
            forget_interrupt(*interp); // raised here and now instead
        }
        py::raise(state.interrupted.get(), "interrupted while erlang.call(%R) waited", name);
    }
    owned.raise(interpreter, name);
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
