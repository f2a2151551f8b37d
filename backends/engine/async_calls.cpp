// erlang.async_call: the call, and what an event loop does when answers have come.
#include "answer.hpp"
#include "functions.hpp"
#include "term_object.hpp"

namespace ep {

namespace {

// How many answers a loop takes before others get a chance at the interpreter.
constexpr int most_taken = 64;

TermObject *as_inbox(ModuleState &state, PyObject *object) {
    auto *ref = as_term_object(object);
    if (reinterpret_cast<PyObject *>(Py_TYPE(object)) != state.ref.get() || ref->box == nullptr) {
        py::raise(PyExc_TypeError, "an inbox is what loop_inbox() returns, not %.100s", Py_TYPE(object)->tp_name);
    }
    return ref;
}

// (number, value, None) or (number, None, exception)
py::Ref outcome(Interpreter &interpreter, uint64_t number, const Answer &answer) {
    py::Ref value;
    try {
        if (!answer.good()) {
            answer.raise(interpreter, nullptr);
        }
        value = answer.value(interpreter);
    } catch (const py::Raised &) {
        py::Ref error = py::Ref::steal(py::compat::take_exception());
        return py::Ref::check(Py_BuildValue("(KOO)", static_cast<unsigned long long>(number), Py_None, error.get()));
    }
    return py::Ref::check(Py_BuildValue("(KOO)", static_cast<unsigned long long>(number), value.get(), Py_None));
}

} // namespace

PyObject *loop_inbox(PyObject *module, PyObject *) noexcept {
    return guarded([&] {
        struct Box {
            TermBox *box = new TermBox;
            ~Box() { box->release(); }
        } owned;
        int32_t fd = -1;
        ERL_NIF_TERM term = engine().host->loop_inbox(owned.box->env(), &fd);
        if (term == 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            throw py::Raised{};
        }
        py::Ref inbox = make_term_object(state_of(module).ref.get(), term, owned.box);
        return py::Ref::check(Py_BuildValue("(Oi)", inbox.get(), static_cast<int>(fd)));
    });
}

PyObject *call_async(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        if (count < 3) {
            py::raise(PyExc_TypeError, "call_async() takes an inbox, a number, the name of a registered function and "
                                       "its arguments");
        }
        ModuleState &state = state_of(module);
        Interpreter &interpreter = *state.interpreter;
        TermObject *inbox = as_inbox(state, args[0]);
        const unsigned long long number = PyLong_AsUnsignedLongLong(args[1]);
        if (PyErr_Occurred()) {
            throw py::Raised{};
        }
        check_name(state, args[2]);
        HostEnv env;
        ERL_NIF_TERM name = encode(env.get(), interpreter, args[2]);
        ERL_NIF_TERM list = encode_list(env.get(), interpreter, args + 3, count - 3);
        ep_interp *interp = current_interp();
        ep_context *context = interp != nullptr ? interp->context : nullptr;
        switch (engine().host->call_async(context, env.give_away(), name, list, inbox->term, number)) {
        case EP_OK: return py::Ref::borrow(Py_None);
        case EP_WRONG_KIND: py::raise(PyExc_TypeError, "an inbox is what loop_inbox() returns, not any erlang.Ref");
        default:
            py::raise(PyExc_RuntimeError, "erlang.async_call(%R): the application erlang_python is not running",
                      args[2]);
        }
    });
}

PyObject *take_answers(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        if (count != 2 || !PyList_CheckExact(args[1])) {
            py::raise(PyExc_TypeError, "take_answers() takes an inbox and a list");
        }
        ModuleState &state = state_of(module);
        TermObject *inbox = as_inbox(state, args[0]);
        int taken = 0;
        for (; taken < most_taken; ++taken) {
            uint64_t number = 0;
            ep_answer answer;
            if (engine().host->take_answer(inbox->box->env(), inbox->term, &number, &answer) == 0) {
                break;
            }
            Answer owned{answer};
            try {
                py::Ref entry = outcome(*state.interpreter, number, owned);
                py::check(PyList_Append(args[1], entry.get()));
            } catch (const py::Raised &) { // no memory; the exception of an answer is part of its entry
                engine().host->put_back_answer(inbox->box->env(), inbox->term, &answer);
                throw;
            }
        }
        return py::Ref::borrow(taken > 0 ? Py_True : Py_False);
    });
}

PyObject *close_inbox(PyObject *module, PyObject *object) noexcept {
    return guarded([&] {
        TermObject *inbox = as_inbox(state_of(module), object);
        engine().host->close_loop_inbox(inbox->box->env(), inbox->term);
        return py::Ref::borrow(Py_None);
    });
}

} // namespace ep
