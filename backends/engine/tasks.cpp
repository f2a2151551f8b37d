// The results of an event loop's tasks, on their way to Erlang.
#include "builder.hpp"
#include "errors.hpp"
#include "functions.hpp"
#include "task_loop.hpp"

namespace ep {

namespace {

ERL_NIF_TERM task_term(ModuleState &state, ErlNifEnv *env, PyObject *task) {
    if (reinterpret_cast<PyObject *>(Py_TYPE(task)) != state.ref.get()) {
        py::raise(PyExc_TypeError, "a task is an erlang.Ref, not %.100s", Py_TYPE(task)->tp_name);
    }
    return enif_make_copy(env, as_term_object(task)->term);
}

// {error, Reason}: an exception has the shape it has elsewhere.
ERL_NIF_TERM failure(ModuleState &state, ErlNifEnv *env, PyObject *reason) {
    if (PyExceptionInstance_Check(reason)) {
        return error_of(env, *state.interpreter, reason);
    }
    return enif_make_tuple2(env, engine().error, encode(env, *state.interpreter, reason));
}

ERL_NIF_TERM success(ModuleState &state, ErlNifEnv *env, PyObject *value) {
    return enif_make_tuple2(env, engine().ok, encode(env, *state.interpreter, value));
}

template <ERL_NIF_TERM (*make)(ModuleState &, ErlNifEnv *, PyObject *)>
PyObject *answer(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        if (count != 2) {
            py::raise(PyExc_TypeError, "expected a task and its result");
        }
        ModuleState &state = state_of(module);
        SendEnv env;
        ERL_NIF_TERM task = task_term(state, env.get(), args[0]);
        if (engine().host->task_is_open(env.get(), task) == 0) {
            return py::Ref::borrow(Py_False);
        }
        ERL_NIF_TERM result;
        try {
            result = make(state, env.get(), args[1]);
        } catch (const py::Raised &) { // it has no form in Erlang
            result = take_error(env.get(), *state.interpreter);
        }
        const bool sent = engine().host->task_answer(env.get(), task, result) == EP_OK;
        return py::Ref::borrow(sent ? Py_True : Py_False);
    });
}

} // namespace

PyObject *answer_task(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return answer<success>(module, args, count);
}

PyObject *fail_task(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return answer<failure>(module, args, count);
}

PyObject *task_is_open(PyObject *module, PyObject *task) noexcept {
    return guarded([&] {
        HostEnv env;
        ERL_NIF_TERM term = task_term(state_of(module), env.get(), task);
        return py::Ref::borrow(engine().host->task_is_open(env.get(), term) != 0 ? Py_True : Py_False);
    });
}

PyObject *take_tasks(PyObject *, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        ep_interp *interp = current_interp();
        if (interp == nullptr || (count != 0 && count != 4)) {
            py::raise(PyExc_TypeError, "take_tasks() is for a context's thread, and takes nothing or four arguments");
        }
        std::shared_ptr<TaskLoop> loop =
            count == 0 ? nullptr : std::make_shared<TaskLoop>(args[0], args[1], args[2], args[3]);
        interp->task_loop.swap(loop); // the one before goes when nothing of this changes any more
        return py::Ref::borrow(Py_None);
    });
}

} // namespace ep
