#include "shared.hpp"

namespace ep {

namespace {

ep_status start(const ep_start *options, ep_error *error) noexcept {
    try {
        Engine &all = engine();
        start_python(*options);
        PyEval_RestoreThread(all.main_thread);
        try {
            auto *main = new Interpreter; // lives as long as the VM
            set_up_interpreter(*main);
            all.main = main;
        } catch (const py::Raised &) {
            set_error(error, "the package erlang cannot be imported: " + take_exception_text());
        }
        PyEval_SaveThread();
        return all.main != nullptr ? EP_OK : EP_FAILED;
    } catch (const std::exception &failure) {
        set_error(error, failure.what());
        return EP_FAILED;
    }
}

// Everything of the context's that is Python goes while its thread is attached, the thread state last.
void give_up(ep_interp *interp) {
    PyThreadState *thread = interp->thread;
    delete interp;
    PyThreadState_Clear(thread);
    PyThreadState_DeleteCurrent();
}

// The loop of a context that ended between two requests that run it: nobody else knows of it.
void end_loops() {
    py::Ref name = py::Ref::steal(PyUnicode_FromString("erlang._tasks"));
    py::Ref module = py::Ref::steal(name ? PyImport_GetModule(name.get()) : nullptr);
    if (module) {
        py::Ref done = py::Ref::steal(PyObject_CallMethod(module.get(), "end_loops", nullptr));
    }
    PyErr_Clear();
}

ep_status open(ep_context *context, const ep_open *options, ep_interp **result, ep_error *error) noexcept {
    if (options->memory_limit != 0) {
        set_error(error, "contexts that share an interpreter share its memory");
        return EP_FAILED;
    }
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
    set_current_interp(nullptr); // the context may be gone, and finalizers may call or print
    end_loops();
    interp->interpreter->slots.remove_all_of(interp);
    interp->globals = {};
    collect_dead_spaces(*interp->interpreter);
    PyErr_Clear();
    ErlNifEnv *send_env = interp->send_env;
    give_up(interp);
    enif_free_env(send_env);
}

ep_status interrupt(ep_interp *interp, uint64_t serial) noexcept {
    PyEval_RestoreThread(engine().main_thread);
    const bool raised = raise_interrupted(*interp, serial);
    PyEval_SaveThread();
    return raised ? EP_OK : EP_FAILED;
}

void take_back(uint64_t, uint64_t slot) noexcept {
    PyEval_RestoreThread(engine().main_thread);
    engine().main->slots.remove(slot);
    PyEval_SaveThread();
}

} // namespace

const Mode shared_mode{start, open, close, interrupt, take_back, nullptr};

} // namespace ep
