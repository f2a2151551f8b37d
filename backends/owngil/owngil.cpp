// The mode `owngil`: every context has an interpreter of its own, with a GIL of its own, so that they run at once.
//
// Source: PEP 684, and https://docs.python.org/3/c-api/init.html#sub-interpreter-support
#include "ending.hpp"
#include "estate.hpp"
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

PyObject *refuse_tracing(PyObject *, PyObject *, PyObject *) {
    PyErr_SetString(PyExc_RuntimeError, "tracemalloc cannot be used in a VM that has contexts of mode owngil: in an "
                                        "interpreter with a GIL of its own it would stop the VM");
    return nullptr;
}

// Its hook in the allocator wants a state in the main interpreter, whatever interpreter it is called in, while the lock on
// all of them is taken: the first interpreter that is made while it traces never comes up, nor does any thread after it.
void exclude_tracemalloc() {
    static PyMethodDef refusal = {"start", py::as_function(refuse_tracing), METH_VARARGS | METH_KEYWORDS, nullptr};
    PyEval_RestoreThread(engine().main_thread);
    bool traces = false;
    {
        py::Ref module = py::Ref::steal(PyImport_ImportModule("_tracemalloc"));
        py::Ref tracing = py::Ref::steal(module ? PyObject_CallMethod(module.get(), "is_tracing", nullptr) : nullptr);
        traces = tracing.get() == Py_True;
        py::Ref wrapper = py::Ref::steal(PyImport_ImportModule("tracemalloc")); // has a reference of its own
        PyErr_Clear();
        try {
            for (PyObject *each : {module.get(), wrapper.get()}) {
                if (each != nullptr && !traces) {
                    replace_function(each, "start", refusal);
                }
            }
        } catch (const py::Raised &) {
            PyErr_Clear(); // no memory for it: as if Python had none
        }
    }
    PyEval_SaveThread();
    if (traces) {
        throw std::runtime_error{"tracemalloc traces in this VM, which excludes contexts of mode owngil; start the VM "
                                 "without it"};
    }
}

ep_status start(const ep_start *options, ep_error *error) noexcept {
    try {
        if (options->memory_limits != 0 && !Py_IsInitialized()) {
            install_limits();
        }
        start_python(*options);
        if (limits_installed() && !limits_active()) {
            throw std::runtime_error{
                "memory limits cannot be had with PYTHONMALLOC or PYTHONDEVMODE in the environment of "
                "the VM; unset them, or take enable_memory_limits out of its configuration"};
        }
        exclude_tracemalloc();
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
    config.allow_fork = 1; // by the interpreter, so that it is refused as everywhere: by the sandbox
    config.allow_exec = 1;
    config.allow_threads = 1;
    config.allow_daemon_threads = 1; // see end_threads()
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

// Attached. The interpreter is gone afterwards, and nothing of the context is left.
void end(std::unique_ptr<OwnInterp> interp) {
    if (interp->account != nullptr) {
        interp->account->lift();
    }
    silence_threads();
    interp->interrupter.hound(); // what is dropped may run code that does not end
    interp->own->slots.remove_all_of(interp.get());
    const std::vector<Slots::Lent> lent = interp->own->slots.take_lent();
    interp->clear();
    PyGC_Collect();
    PyErr_Clear();
    end_threads(interp->thread, interp->interrupter);
    if (interp->account != nullptr) {
        unregister_account(interp->own->python); // before its address can be another one's
    }
    interp->own->clear();
    write_off(lent.size());
    Py_EndInterpreter(interp->thread);
    leave_estate(interp->own->id, lent);
    if (interp->account != nullptr) {
        interp->account->let_go();
    }
    if (interp->send_env != nullptr) {
        enif_free_env(interp->send_env);
    }
}

ep_status open(ep_context *context, const ep_open *options, ep_interp **result, ep_error *error) noexcept {
    auto interp = std::make_unique<OwnInterp>();
    interp->context = context;
    interp->own = std::make_unique<Interpreter>();
    interp->interpreter = interp->own.get();
    if (!new_interpreter(*interp, error)) {
        return EP_FAILED;
    }
    interp->own->python = PyThreadState_GetInterpreter(interp->thread);
    try {
        set_up_interpreter(*interp->own);
        set_up_context(*interp);
    } catch (const py::Raised &) {
        set_error(error, take_exception_text());
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
    static constexpr ep::Mode mode{ep::start, ep::open, ep::close, ep::interrupt, ep::take_back, ep::memory};
    return ep::fill_table(host, table, mode, error);
}
