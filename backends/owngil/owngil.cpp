// The mode `owngil`: every context has an interpreter of its own, with a GIL of its own, so that they run at once.
//
// Source: PEP 684, and https://docs.python.org/3/c-api/init.html#sub-interpreter-support
#include "ending.hpp"
#include "interrupter.hpp"
#include "limits.hpp"

#include <memory>

namespace ep {

namespace {

struct OwnInterp : ep_interp {
    std::unique_ptr<Interpreter> own;
    Interrupter interrupter{*this};
    Account *account = nullptr; // nullptr: no limit
};

OwnInterp &own(ep_interp *interp) {
    return *static_cast<OwnInterp *>(interp);
}

ep_status start(const ep_start *options, ep_error *error) noexcept {
    try {
        if (options->memory_limits != 0 && !Py_IsInitialized()) {
            install_limits();
        }
        start_python(*options);
        return EP_OK;
    } catch (const std::exception &failure) {
        set_error(error, failure.what());
        return EP_FAILED;
    }
}

// Leaves the calling thread attached to a new interpreter.
bool new_interpreter(OwnInterp &interp, ep_error *error) {
    PyInterpreterConfig config{};
    config.use_main_obmalloc = 0;
    config.allow_fork = 0;
    config.allow_exec = 0;
    config.allow_threads = 1;
    config.allow_daemon_threads = 0; // the interpreter cannot end while one runs
    config.check_multi_interp_extensions = 1;
    config.gil = PyInterpreterConfig_OWN_GIL;
    // Without a thread state of another interpreter: this thread needs no other GIL then.
    const PyStatus status = Py_NewInterpreterFromConfig(&interp.thread, &config);
    if (PyStatus_Exception(status)) {
        set_error(error, std::string{"Python could not make an interpreter: "} +
                             (status.err_msg != nullptr ? status.err_msg : "unknown error"));
        return false;
    }
    return true;
}

// Everything of ours that lives in the interpreter. Attached.
void clear(OwnInterp &interp) {
    if (interp.account != nullptr) {
        interp.account->lift();
    }
    if (interp.own != nullptr) {
        interp.own->slots.remove_all_of(interp.context);
    }
    interp.clear();
    if (interp.own != nullptr) {
        interp.own->clear();
    }
    PyErr_Clear();
}

// The interpreter is gone, and nothing of the context is left.
void free(std::unique_ptr<OwnInterp> interp) {
    if (interp->account != nullptr) {
        interp->account->let_go();
    }
    if (interp->send_env != nullptr) {
        enif_free_env(interp->send_env);
    }
}

// Attached; the interpreter's memory goes with it, or stays as it is where that is not possible.
void end(std::unique_ptr<OwnInterp> interp) {
    PyInterpreterState *python = PyThreadState_GetInterpreter(interp->thread);
    const bool ended = end_interpreter(interp->thread, interp->interrupter);
    if (interp->account != nullptr) {
        unregister_account(python);
    }
    if (!ended) {
        interp.release(); // its threads may come back to it
        return;
    }
    free(std::move(interp));
}

ep_status open(ep_context *context, const ep_open *options, ep_interp **result, ep_error *error) noexcept {
    auto interp = std::make_unique<OwnInterp>();
    interp->context = context;
    if (!new_interpreter(*interp, error)) {
        return EP_FAILED;
    }
    try {
        interp->own = set_up_interpreter();
        interp->interpreter = interp->own.get();
        set_up_context(*interp);
    } catch (const py::Raised &) {
        set_error(error, take_exception_text());
        clear(*interp);
        end(std::move(interp));
        return EP_FAILED;
    }
    if (options->memory_limit != 0) {
        interp->account = new Account{options->memory_limit};
        register_account(interp->interpreter->python, interp->account);
    }
    PyEval_SaveThread();
    set_current_interp(interp.get());
    *result = interp.release();
    return EP_OK;
}

void close(ep_interp *closing) noexcept {
    std::unique_ptr<OwnInterp> interp{&own(closing)};
    PyEval_RestoreThread(interp->thread);
    set_current_interp(nullptr);
    clear(*interp);
    end(std::move(interp));
}

ep_status interrupt(ep_interp *interp, uint64_t serial) noexcept {
    return own(interp).interrupter.interrupt(serial) ? EP_OK : EP_FAILED;
}

void memory(ep_interp *interp, ep_memory *memory) noexcept {
    *memory = own(interp).account != nullptr ? own(interp).account->usage() : ep_memory{};
}

} // namespace

} // namespace ep

extern "C" EP_EXPORT ep_status erlang_python_backend_entry(const ep_host *host, ep_backend *table, ep_error *error) {
    static constexpr ep::Mode mode{ep::start, ep::open, ep::close, ep::interrupt, ep::memory};
    return ep::fill_table(host, table, mode, error);
}
