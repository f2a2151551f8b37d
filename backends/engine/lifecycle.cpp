// Python itself: how it starts, how threads come and go, how running code is interrupted.
#include "engine.hpp"

#include <csignal>
#include <cstring>

namespace ep {

namespace {

thread_local ep_interp *current = nullptr;

struct ConfigHolder {
    PyConfig config;
    ConfigHolder() { PyConfig_InitPythonConfig(&config); }
    ~ConfigHolder() { PyConfig_Clear(&config); }
};

void check_status(PyStatus status, const char *what) {
    if (PyStatus_Exception(status)) {
        std::string text = std::string{"Python cannot be initialised ("} + what + ")";
        if (status.err_msg != nullptr) {
            text += std::string{": "} + status.err_msg;
        }
        throw std::runtime_error{text};
    }
}

// A guest in somebody else's process: no signal handlers, no locale of its own, no command line, C's stdio untouched.
void initialise(const ep_start &options) {
    PyPreConfig before;
    PyPreConfig_InitPythonConfig(&before);
    before.utf8_mode = 1;
    before.configure_locale = 0;
    before.coerce_c_locale = 0;
    before.parse_argv = 0;
    check_status(Py_PreInitialize(&before), "before its configuration");
    ConfigHolder holder;
    PyConfig &config = holder.config;
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    config.configure_c_stdio = 0;
    config.buffered_stdio = 0; // Python is never finalised, so what sat in a buffer would be lost
    config.faulthandler = 0;
    if (options.executable != nullptr && *options.executable != '\0') {
        check_status(PyConfig_SetBytesString(&config, &config.program_name, options.executable), "its program name");
        check_status(PyConfig_SetBytesString(&config, &config.executable, options.executable), "its executable");
    }
    check_status(Py_InitializeFromConfig(&config), "its main interpreter");
}

// The module _signal takes SIGINT over when it is first imported, whatever the configuration says. Imported here, it
// gives it back at once.
void leave_signals_alone() {
    struct sigaction before;
    sigaction(SIGINT, nullptr, &before);
    if (PyObject *module = PyImport_ImportModule("_signal")) {
        Py_DECREF(module);
    } else {
        PyErr_Clear();
    }
    sigaction(SIGINT, &before, nullptr);
}

} // namespace

Engine &engine() noexcept {
    static auto *instance = new Engine; // lives as long as the VM
    return *instance;
}

ep_interp *current_interp() noexcept {
    return current;
}

void set_current_interp(ep_interp *interp) noexcept {
    current = interp;
}

void set_error(ep_error *error, const std::string &text) noexcept {
    std::strncpy(error->text, text.c_str(), sizeof error->text - 1);
    error->text[sizeof error->text - 1] = '\0';
}

std::string take_exception_text() {
    py::Ref exception = py::Ref::steal(py::compat::take_exception());
    if (!exception) {
        return "unknown error";
    }
    py::Ref text = py::Ref::steal(PyObject_Str(exception.get()));
    const char *utf8 = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
    std::string result = std::string{Py_TYPE(exception.get())->tp_name} + ": " + (utf8 != nullptr ? utf8 : "?");
    PyErr_Clear();
    return result;
}

void set_up_interpreter(Interpreter &interpreter) {
    interpreter.id = engine().host->unique();
    interpreter.python = PyInterpreterState_Get();
    PyObject *path = PySys_GetObject("path");
    for (auto directory = engine().paths.rbegin(); directory != engine().paths.rend(); ++directory) {
        py::Ref text = py::Ref::check(PyUnicode_DecodeFSDefault(directory->c_str()));
        if (path != nullptr) {
            py::check(PyList_Insert(path, 0, text.get()));
        }
    }
    interpreter.module = add_module(interpreter);
    interpreter.state = static_cast<ModuleState *>(PyModule_GetState(interpreter.module.get()));
    interpreter.builtins = py::Ref::check(PyImport_ImportModule("builtins"));
    interpreter.main =
        py::Ref::check(PyImport_AddModule("__main__") != nullptr ? PyImport_ImportModule("__main__") : nullptr);
    close_sandbox_gaps();
    interpreter.package = py::Ref::check(PyImport_ImportModule("erlang"));
    if (!py::compat::has_gil) {
        watch_imports();
    }
}

void set_up_context(ep_interp &interp) {
    interp.id = engine().host->unique();
    interp.globals = py::Ref::check(PyDict_New());
    py::Ref name = py::Ref::check(PyUnicode_FromString("__main__"));
    PyObject *globals = interp.globals.get();
    py::check(PyDict_SetItemString(globals, "__builtins__", interp.interpreter->builtins.get()));
    py::check(PyDict_SetItemString(globals, "__name__", name.get()));
    py::check(PyDict_SetItemString(globals, "erlang", interp.interpreter->package.get()));
    interp.send_env = enif_alloc_env();
}

} // namespace ep

void ep_interp::clear() {
    printed = {};
    task_loop = {};
    globals = {};
    code = {};
    atoms = {};
}

namespace ep {

void Interpreter::clear() {
    main = {};
    builtins = {};
    package = {};
    module = {};
}

void start_python(const ep_start &options) {
    Engine &all = engine();
    all.big_integers = options.big_integers != 0;
    all.paths.assign(options.paths, options.paths + options.path_count);
    if (Py_IsInitialized()) { // by another mode's backend
        all.main_thread = PyThreadState_New(PyInterpreterState_Main());
        if (all.main_thread == nullptr) {
            throw std::runtime_error{"Python has no memory for another thread"};
        }
        return;
    }
    install_sandbox();
    initialise(options);
    leave_signals_alone();
    if (!py::compat::knows_main_thread && !py::Ref::steal(PyImport_ImportModule("threading"))) {
        PyErr_Clear(); // Python does without
    }
    try {
        close_sandbox_gaps();
    } catch (const py::Raised &) {
        const std::string reason = take_exception_text();
        PyEval_SaveThread();
        throw std::runtime_error{"the sandbox cannot be set up: " + reason};
    }
    all.main_thread = PyEval_SaveThread();
}

void attach(ep_interp *interp) noexcept {
    PyEval_RestoreThread(interp->thread);
}

void detach(ep_interp *) noexcept {
    PyEval_SaveThread();
}

ep_status fill_table(const ep_host *host, ep_backend *table, const Mode &mode, ep_error *error) noexcept {
    const ep_header asked = table->header;
    table->header = {EP_ABI_MAJOR, EP_ABI_MINOR, sizeof(ep_backend)};
    const bool host_fits = ep_header_fits(&host->header, EP_ABI_MAJOR, EP_ABI_MINOR, sizeof(ep_host)) != 0;
    if (asked.major != EP_ABI_MAJOR || asked.minor > EP_ABI_MINOR || !host_fits) {
        set_error(error, "another ABI");
        return EP_TOO_NEW;
    }
    ep_backend full{};
    full.header = {asked.major, asked.minor, asked.size < sizeof full ? asked.size : uint32_t{sizeof full}};
    full.start = mode.start;
    full.open = mode.open;
    full.close = mode.close;
    full.attach = attach;
    full.detach = detach;
    full.serve = serve;
    full.release_slot = release_slot;
    full.interrupt = mode.interrupt;
    full.memory = mode.memory;
    full.take_back = mode.take_back;
    std::memcpy(table, &full, full.header.size);
    Engine &all = engine();
    all.host = host;
    ErlNifEnv *env = host->env_take();
    all.conversion = new ConversionAtoms{env}; // lives as long as the VM
    all.ok = enif_make_atom(env, "ok");
    all.error = enif_make_atom(env, "error");
    all.interrupted = enif_make_atom(env, "interrupted");
    all.env_wrong_interpreter = enif_make_atom(env, "env_wrong_interpreter");
    host->env_give(env);
    return EP_OK;
}

} // namespace ep
