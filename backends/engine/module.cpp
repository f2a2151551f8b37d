// The module _erlang: what the package erlang is made of.
#include "builder.hpp"
#include "source.hpp"

#include <cstring>
#include <new>
#include <string>

namespace ep {

namespace {

ModuleState &state_of(PyObject *module) {
    return *static_cast<ModuleState *>(PyModule_GetState(module));
}

// What every function of the module runs inside.
template <class Body> PyObject *guarded(Body body) noexcept {
    try {
        return body().release();
    } catch (const py::Raised &) {
        return nullptr;
    } catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    } catch (const std::exception &error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
        return nullptr;
    }
}

// An environment from the host's pool.
class HostEnv {
public:
    HostEnv() : env_(engine().host->env_take()) {}
    ~HostEnv() {
        if (env_ != nullptr) {
            engine().host->env_give(env_);
        }
    }
    HostEnv(const HostEnv &) = delete;
    HostEnv &operator=(const HostEnv &) = delete;
    ErlNifEnv *get() const noexcept { return env_; }
    ErlNifEnv *give_away() noexcept { return std::exchange(env_, nullptr); }

private:
    ErlNifEnv *env_;
};

// The environment to build a message in: a context has one of its own, unless it is just building one.
class SendEnv {
public:
    SendEnv() : interp_(current_interp()) {
        if (interp_ != nullptr && !interp_->sending) {
            interp_->sending = true;
            env_ = interp_->send_env;
        } else {
            interp_ = nullptr;
            env_ = engine().host->env_take();
        }
    }
    ~SendEnv() {
        if (interp_ != nullptr) {
            enif_clear_env(env_);
            interp_->sending = false;
        } else {
            engine().host->env_give(env_);
        }
    }
    SendEnv(const SendEnv &) = delete;
    SendEnv &operator=(const SendEnv &) = delete;
    ErlNifEnv *get() const noexcept { return env_; }

private:
    ep_interp *interp_;
    ErlNifEnv *env_;
};

std::string_view utf8(PyObject *text) {
    Py_ssize_t size = 0;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data == nullptr) {
        throw py::Raised{};
    }
    return {data, static_cast<size_t>(size)};
}

// ---------------------------------------------------------------------------------------------------------------------
// call

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

py::Ref call_erlang(ModuleState &state, PyObject *name, PyObject *const *args, Py_ssize_t count) {
    if (!PyUnicode_Check(name) && Py_TYPE(name) != reinterpret_cast<PyTypeObject *>(state.atom.get())) {
        py::raise(PyExc_TypeError, "erlang.call() takes the name of a registered function as a str, not %.100s",
                  Py_TYPE(name)->tp_name);
    }
    Interpreter &interpreter = *state.interpreter;
    ep_interp *interp = current_interp();
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
        engine().host->call(interp->context, env.give_away(), name_term, list, &answer);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        engine().host->call(nullptr, env.give_away(), name_term, list, &answer);
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
    raise_unanswered(interp, state, answer.status, name);
}

PyObject *call(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        if (count < 1) {
            py::raise(PyExc_TypeError, "erlang.call() takes the name of a registered function and its arguments");
        }
        return call_erlang(state_of(module), args[0], args + 1, count - 1);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// send, whereis, atom

// The atom of that name, if there is one.
bool existing_atom(ErlNifEnv *env, std::string_view name, ERL_NIF_TERM &atom) {
    auto found = make_atom(env, name, ERL_NIF_BIN2TERM_SAFE);
    atom = found.value_or(0);
    return found.has_value();
}

// str, bytes or Atom; false when it is none of them.
bool registered_name(ModuleState &state, ErlNifEnv *env, PyObject *name, ERL_NIF_TERM &atom, bool &exists) {
    if (reinterpret_cast<PyObject *>(Py_TYPE(name)) == state.atom.get()) {
        atom = as_term_object(name)->term;
        exists = true;
    } else if (PyUnicode_Check(name)) {
        exists = existing_atom(env, utf8(name), atom);
    } else if (PyBytes_Check(name)) {
        exists = existing_atom(env, {PyBytes_AS_STRING(name), static_cast<size_t>(PyBytes_GET_SIZE(name))}, atom);
    } else {
        return false;
    }
    return true;
}

// A process of this node; false when `destination` is something else.
bool local_process(ModuleState &state, ErlNifEnv *env, PyObject *destination, ErlNifPid &pid) {
    if (reinterpret_cast<PyObject *>(Py_TYPE(destination)) == state.pid.get()) {
        if (as_term_object(destination)->box != nullptr) {
            return false;
        }
        pid.pid = as_term_object(destination)->term;
        return true;
    }
    ERL_NIF_TERM name;
    bool exists = false;
    if (!registered_name(state, env, destination, name, exists)) {
        return false;
    }
    if (!exists || !enif_whereis_pid(nullptr, name, &pid)) {
        py::raise(state.process_error.get(), "no process is registered as %R", destination);
    }
    return true;
}

// One part of ("name", "node@host").
ERL_NIF_TERM address_atom(ModuleState &state, ErlNifEnv *env, PyObject *part) {
    ERL_NIF_TERM atom;
    bool exists = false;
    if (!registered_name(state, env, part, atom, exists)) {
        py::raise(PyExc_TypeError, "an address is (name, node), both str, bytes or erlang.Atom");
    }
    if (exists) {
        return atom;
    }
    if (!engine().host->take_atom()) {
        py::raise(PyExc_RuntimeError, "no more new atoms may be made from Python; see max_atoms");
    }
    PyObject *text = PyBytes_Check(part) ? nullptr : part;
    auto made = make_atom(
        env, text != nullptr ? utf8(text)
                             : std::string_view{PyBytes_AS_STRING(part), static_cast<size_t>(PyBytes_GET_SIZE(part))});
    if (!made) {
        py::raise(PyExc_ValueError, "%R is too long for an atom", part);
    }
    return *made;
}

void send_elsewhere(ModuleState &state, PyObject *destination, PyObject *message) {
    HostEnv env;
    ERL_NIF_TERM to;
    if (PyTuple_Check(destination) && PyTuple_GET_SIZE(destination) == 2) {
        ERL_NIF_TERM name = address_atom(state, env.get(), PyTuple_GET_ITEM(destination, 0));
        ERL_NIF_TERM node = address_atom(state, env.get(), PyTuple_GET_ITEM(destination, 1));
        to = enif_make_tuple2(env.get(), name, node);
    } else if (reinterpret_cast<PyObject *>(Py_TYPE(destination)) == state.pid.get()) {
        to = enif_make_copy(env.get(), as_term_object(destination)->term);
    } else {
        py::raise(PyExc_TypeError, "erlang.send() takes an erlang.Pid, a registered name or (name, node), not %.100s",
                  Py_TYPE(destination)->tp_name);
    }
    ERL_NIF_TERM term = encode(env.get(), *state.interpreter, message);
    if (engine().host->forward(env.give_away(), to, term) != EP_OK) {
        py::raise(PyExc_RuntimeError, "the application erlang_python is not running");
    }
}

PyObject *send(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        if (count != 2) {
            py::raise(PyExc_TypeError, "erlang.send() takes a destination and a message");
        }
        ModuleState &state = state_of(module);
        SendEnv env;
        ErlNifPid pid;
        if (!local_process(state, env.get(), args[0], pid)) {
            send_elsewhere(state, args[0], args[1]);
        } else {
            ERL_NIF_TERM message = encode(env.get(), *state.interpreter, args[1]);
            if (!enif_send(nullptr, &pid, env.get(), message)) {
                py::raise(state.process_error.get(), "%R is not alive", args[0]);
            }
        }
        return py::Ref::borrow(Py_None);
    });
}

PyObject *whereis(PyObject *module, PyObject *name) noexcept {
    return guarded([&] {
        ModuleState &state = state_of(module);
        HostEnv env;
        ERL_NIF_TERM atom;
        bool exists = false;
        if (!registered_name(state, env.get(), name, atom, exists)) {
            py::raise(PyExc_TypeError, "erlang.whereis() takes a str, bytes or erlang.Atom, not %.100s",
                      Py_TYPE(name)->tp_name);
        }
        ErlNifPid pid;
        if (!exists || !enif_whereis_pid(nullptr, atom, &pid)) {
            return py::Ref::borrow(Py_None);
        }
        return make_term_object(state.pid.get(), pid.pid, nullptr);
    });
}

PyObject *atom(PyObject *module, PyObject *name) noexcept {
    return guarded([&] {
        if (!PyUnicode_Check(name)) {
            py::raise(PyExc_TypeError, "erlang.atom() takes a str, not %.100s", Py_TYPE(name)->tp_name);
        }
        ModuleState &state = state_of(module);
        PyObject *known = nullptr;
        if (py::check(py::compat::dict_get(state.atoms.get(), name, &known)) == 1) {
            return py::Ref::steal(known);
        }
        HostEnv env;
        ERL_NIF_TERM term;
        std::string_view text = utf8(name);
        if (!existing_atom(env.get(), text, term)) {
            if (!engine().host->take_atom()) {
                py::raise(PyExc_RuntimeError, "no more new atoms may be made from Python; see max_atoms");
            }
            auto made = make_atom(env.get(), text);
            if (!made) {
                py::raise(PyExc_ValueError, "an atom has at most 255 characters, this has %zd",
                          PyUnicode_GET_LENGTH(name));
            }
            term = *made;
        }
        // Of two threads that get here with one name, the first one's object stays.
        py::Ref object = make_term_object(state.atom.get(), term, nullptr);
        return py::Ref::check(py::compat::dict_set_default(state.atoms.get(), name, object.get()));
    });
}

PyObject *is_registered(PyObject *, PyObject *name) noexcept {
    return guarded([&] {
        if (!PyUnicode_Check(name)) {
            return py::Ref::borrow(Py_False);
        }
        std::string_view text = utf8(name);
        return py::Ref::borrow(engine().host->is_registered(text.data(), text.size()) ? Py_True : Py_False);
    });
}

PyObject *log(PyObject *, PyObject *args) noexcept {
    return guarded([&] {
        int level = 0;
        const char *text = nullptr;
        Py_ssize_t size = 0;
        if (!PyArg_ParseTuple(args, "is#", &level, &text, &size)) {
            throw py::Raised{};
        }
        engine().host->log(level, text, static_cast<size_t>(size));
        return py::Ref::borrow(Py_None);
    });
}

PyMethodDef methods[] = {
    {"call", py::as_function(call), METH_FASTCALL,
     "call(name, *args)\n--\n\nCall the Erlang function registered under that name and return its result."},
    {"send", py::as_function(send), METH_FASTCALL,
     "send(destination, message)\n--\n\nSend a message to an Erlang process. Does not wait."},
    {"whereis", whereis, METH_O, "whereis(name)\n--\n\nThe pid registered under that name, or None."},
    {"atom", atom, METH_O, "atom(name)\n--\n\nThe Erlang atom of that name; the same object each time."},
    {"is_registered", is_registered, METH_O, "is_registered(name)\n--\n\nWhether such a function is registered."},
    {"log", log, METH_VARARGS, "log(level, text)\n--\n\nWrite a line to Erlang's logger; 0 is error, 3 is debug."},
    {nullptr, nullptr, 0, nullptr},
};

// ---------------------------------------------------------------------------------------------------------------------
// The module

py::Ref add_exception(PyObject *module, const char *name, const char *doc, PyObject *base) {
    std::string full = std::string{"erlang."} + name;
    py::Ref exception = py::Ref::check(PyErr_NewExceptionWithDoc(full.c_str(), doc, base, nullptr));
    py::check(PyModule_AddObjectRef(module, name, exception.get()));
    return exception;
}

int execute(PyObject *module) noexcept {
    try {
        auto &state = *new (PyModule_GetState(module)) ModuleState;
        add_term_types(module, state);
        state.atoms = py::Ref::check(PyDict_New());
        state.process_error =
            add_exception(module, "ProcessError", "The process a message was for is not alive.", PyExc_Exception);
        state.interrupted = add_exception(module, "Interrupted",
                                          "The request this code runs for timed out, was interrupted, or its context "
                                          "is stopping. Not an Exception, so that code that catches those ends, too.",
                                          PyExc_BaseException);
        state.wrong_interpreter = py::Ref::check(
            PyErr_NewException("erlang.WrongInterpreter", PyExc_ReferenceError, nullptr)); // no name to import it by
        return 0;
    } catch (const py::Raised &) {
        return -1;
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return -1;
    }
}

int traverse(PyObject *module, visitproc visit, void *arg) {
    auto *state = static_cast<ModuleState *>(PyModule_GetState(module));
    if (state != nullptr) {
        for (PyObject *object :
             {state->pid.get(), state->ref.get(), state->atom.get(), state->term.get(), state->view.get(),
              state->process_error.get(), state->interrupted.get(), state->wrong_interpreter.get(),
              state->atoms.get()}) {
            Py_VISIT(object);
        }
    }
    return 0;
}

int clear(PyObject *module) {
    if (auto *state = static_cast<ModuleState *>(PyModule_GetState(module))) {
        Interpreter *interpreter = state->interpreter;
        *state = ModuleState{};
        state->interpreter = interpreter;
    }
    return 0;
}

void free_module(void *module) {
    clear(static_cast<PyObject *>(module));
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(execute)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_erlang",
    "The part of the package erlang that is native.",
    sizeof(ModuleState),
    methods,
    slots,
    traverse,
    clear,
    free_module,
};

} // namespace

// Not by the table of builtin modules: that is one for all interpreters, also for those that Python code starts by itself
// (concurrent.interpreters), which have no context to go through; and two backends of one Python have a module each.
py::Ref add_module(Interpreter &interpreter) {
    py::Ref machinery = py::Ref::check(PyImport_ImportModule("importlib.machinery"));
    py::Ref spec = py::Ref::check(PyObject_CallMethod(machinery.get(), "ModuleSpec", "sO", definition.m_name, Py_None));
    py::Ref module = py::Ref::check(PyModule_FromDefAndSpec(&definition, spec.get()));
    py::check(PyObject_SetAttrString(module.get(), "__spec__", spec.get()));
    py::check(PyModule_ExecDef(module.get(), &definition));
    state_of(module.get()).interpreter = &interpreter;
    py::check(PyDict_SetItemString(PyImport_GetModuleDict(), definition.m_name, module.get()));
    return module;
}

} // namespace ep
