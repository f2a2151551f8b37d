// The mode `worker`: every context runs in the main interpreter, on a thread of its own. One of them at a time runs
// Python, since they share its GIL.
#include "../engine/engine.hpp"

namespace ep {

namespace {

// Everything of the context's that is Python goes while its thread is attached, the thread state last.
void give_up(ep_interp *interp) {
    PyThreadState *thread = interp->thread;
    delete interp;
    PyThreadState_Clear(thread);
    PyThreadState_DeleteCurrent();
}

ep_status open(ep_context *context, ep_interp **result, ep_error *error) noexcept {
    auto *interp = new ep_interp;
    interp->context = context;
    interp->interpreter = engine().main;
    interp->thread = PyThreadState_New(interp->interpreter->python);
    if (interp->thread == nullptr) {
        set_error(error, "Python has no memory for another thread");
        delete interp;
        return EP_FAILED;
    }
    PyEval_RestoreThread(interp->thread);
    try {
        set_up_context(*interp);
    } catch (const py::Raised &) {
        set_error(error, take_exception_text());
        give_up(interp);
        return EP_FAILED;
    }
    PyEval_SaveThread();
    set_current_interp(interp);
    *result = interp;
    return EP_OK;
}

void close(ep_interp *interp) noexcept {
    PyEval_RestoreThread(interp->thread);
    interp->interpreter->slots.remove_all_of(interp->context);
    interp->globals = {};
    collect_dead_spaces(*interp->interpreter);
    PyErr_Clear();
    set_current_interp(nullptr);
    ErlNifEnv *send_env = interp->send_env;
    give_up(interp);
    enif_free_env(send_env);
}

} // namespace

} // namespace ep

extern "C" EP_EXPORT ep_status erlang_python_backend_entry(const ep_host *host, ep_backend *table, ep_error *error) {
    return ep::fill_table(host, table, error, ep::open, ep::close);
}
