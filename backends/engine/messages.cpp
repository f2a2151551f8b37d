// erlang.send, erlang.whereis, erlang.atom, and what is told without waiting
#include "functions.hpp"

namespace ep {

namespace {

// The atom of that name, if there is one.
bool existing_atom(ErlNifEnv *env, std::string_view name, ERL_NIF_TERM &atom) {
    auto found = make_atom(env, name, ERL_NIF_BIN2TERM_SAFE);
    atom = found.value_or(0);
    return found.has_value();
}

// One more for the VM, which never forgets it.
ERL_NIF_TERM new_atom(ErlNifEnv *env, std::string_view name, PyObject *object) {
    if (!engine().host->take_atom()) {
        py::raise(PyExc_RuntimeError, "no more new atoms may be made from Python; see max_atoms");
    }
    auto made = make_atom(env, name);
    if (!made) {
        py::raise(PyExc_ValueError, "an atom has at most 255 characters, this has %zd", PyObject_Size(object));
    }
    return *made;
}

std::string_view bytes(PyObject *object) {
    return {PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object))};
}

// str, bytes or Atom; false when it is none of them.
bool registered_name(ModuleState &state, ErlNifEnv *env, PyObject *name, ERL_NIF_TERM &atom, bool &exists) {
    if (reinterpret_cast<PyObject *>(Py_TYPE(name)) == state.atom.get()) {
        atom = as_term_object(name)->term;
        exists = true;
    } else if (PyUnicode_Check(name)) {
        exists = existing_atom(env, utf8(name), atom);
    } else if (PyBytes_Check(name)) {
        exists = existing_atom(env, bytes(name), atom);
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
    return new_atom(env, PyBytes_Check(part) ? bytes(part) : utf8(part), part);
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

} // namespace

PyObject *send_message(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        if (count != 2) {
            py::raise(PyExc_TypeError, "erlang.send() takes a destination and a message");
        }
        ModuleState &state = state_of(module);
        SendEnv env{true};
        ErlNifPid pid;
        if (!local_process(state, env.get(), args[0], pid)) {
            send_elsewhere(state, args[0], args[1]);
        } else {
            ScratchWriter writer{env.get()};
            record(*writer, *state.interpreter, args[1]);
            if (!env.send(pid, build(env.get(), writer->view()), writer->view())) {
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

PyObject *make_atom_object(PyObject *module, PyObject *name) noexcept {
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
            term = new_atom(env.get(), text, name);
        }
        // Of two threads that get here with one name, the first one's object stays.
        py::Ref object = make_term_object(state.atom.get(), term, nullptr);
        return py::Ref::check(py::compat::dict_set_default(state.atoms.get(), name, object.get()));
    });
}

PyObject *feed_message(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        const unsigned long feed = count == 2 ? PyLong_AsUnsignedLong(args[0]) : 0;
        if (count != 2 || PyErr_Occurred()) {
            py::raise(PyExc_TypeError, "feed() takes a number and a message");
        }
        if (engine().host->feed_is_open(static_cast<uint32_t>(feed)) == 0) {
            return py::Ref::borrow(Py_False);
        }
        SendEnv env;
        ERL_NIF_TERM message = encode(env.get(), *state_of(module).interpreter, args[1]);
        const bool sent = engine().host->feed(static_cast<uint32_t>(feed), env.get(), message) == EP_OK;
        return py::Ref::borrow(sent ? Py_True : Py_False);
    });
}

PyObject *feed_is_open(PyObject *, PyObject *feed) noexcept {
    return guarded([&] {
        const unsigned long number = PyLong_AsUnsignedLong(feed);
        if (number == static_cast<unsigned long>(-1) && PyErr_Occurred()) {
            throw py::Raised{};
        }
        return py::Ref::borrow(engine().host->feed_is_open(static_cast<uint32_t>(number)) != 0 ? Py_True : Py_False);
    });
}

} // namespace ep
