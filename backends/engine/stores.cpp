// What erlang.state_* and erlang.SharedDict stand on. A store is None, which is py_state's, or an erlang.Ref.
#include "decoding.hpp"
#include "functions.hpp"
#include "term_object.hpp"

namespace ep {

namespace {

class StoreArgument {
public:
    StoreArgument(ModuleState &state, ErlNifEnv *env, PyObject *object) {
        if (object == Py_None) {
            return;
        }
        const bool is_ref = reinterpret_cast<PyObject *>(Py_TYPE(object)) == state.ref.get();
        if (!is_ref || engine().host->store_of(env, as_term_object(object)->term, &store_) != EP_OK) {
            py::raise(PyExc_TypeError, "a SharedDict is made of what py:shared_dict_new/0 returns, not of %.100s",
                      Py_TYPE(object)->tp_name);
        }
    }
    ~StoreArgument() {
        if (store_ != nullptr) {
            engine().host->store_release(store_);
        }
    }
    StoreArgument(const StoreArgument &) = delete;
    StoreArgument &operator=(const StoreArgument &) = delete;
    ep_store *get() const noexcept { return store_; }

private:
    ep_store *store_ = nullptr;
};

// What all functions begin with: at least so many arguments, the store and the key.
struct Access {
    ModuleState &state;
    HostEnv env;
    StoreArgument store;
    Access(PyObject *module, PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted)
        : state(state_of(module)), store(state, env.get(), check(args, count, wanted)) {}

    ERL_NIF_TERM term(PyObject *object) { return encode(env.get(), *state.interpreter, object); }
    // Whether the key was there.
    static bool found(ep_status status) {
        if (status == EP_CLOSED) {
            py::raise(PyExc_ValueError, "this SharedDict was destroyed");
        }
        if (status == EP_TOO_LARGE) {
            py::raise(PyExc_ValueError, "a key has at most 64 KiB, and no map of more than 32 pairs in it");
        }
        return status == EP_OK;
    }

private:
    static PyObject *check(PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted) {
        if (count != wanted) {
            py::raise(PyExc_TypeError, "expected %zd arguments, got %zd", wanted, count);
        }
        return args[0];
    }
};

py::Ref unpickle(ErlNifEnv *env, ERL_NIF_TERM binary) {
    ErlNifBinary data{};
    if (!enif_inspect_binary(env, binary, &data)) {
        py::raise(PyExc_TypeError, "a pickle is a binary");
    }
    py::Ref pickle = py::Ref::check(PyImport_ImportModule("pickle"));
    return py::Ref::check(PyObject_CallMethod(pickle.get(), "loads", "y#", reinterpret_cast<const char *>(data.data),
                                              static_cast<Py_ssize_t>(data.size)));
}

} // namespace

PyObject *store_get(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        Access access{module, args, count, 3};
        ErlNifEnv *env = access.env.get();
        ERL_NIF_TERM value = 0;
        int32_t pickled = 0;
        if (!Access::found(engine().host->store_get(access.store.get(), env, access.term(args[1]), &value, &pickled))) {
            return py::Ref::borrow(args[2]);
        }
        return pickled != 0 ? unpickle(env, value) : decode(env, *access.state.interpreter, value);
    });
}

PyObject *store_put(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        Access access{module, args, count, 4};
        ERL_NIF_TERM key = access.term(args[1]);
        ERL_NIF_TERM value = access.term(args[2]);
        ERL_NIF_TERM pickled = args[3] == Py_None ? 0 : access.term(args[3]);
        const bool stored =
            Access::found(engine().host->store_put(access.store.get(), access.env.get(), key, value, pickled));
        return py::Ref::borrow(stored ? Py_True : Py_False);
    });
}

PyObject *store_add(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        Access access{module, args, count, 3};
        const long long amount = PyLong_AsLongLong(args[2]);
        if (amount == -1 && PyErr_Occurred()) {
            throw py::Raised{};
        }
        int64_t sum = 0;
        const ep_status status =
            engine().host->store_add(access.store.get(), access.env.get(), access.term(args[1]), amount, &sum);
        if (status == EP_WRONG_KIND) {
            py::raise(PyExc_ValueError, "%R is no counter, or would leave the range of 64 bits", args[1]);
        }
        return Access::found(status) ? py::Ref::check(PyLong_FromLongLong(sum)) : py::Ref::borrow(Py_None);
    });
}

PyObject *store_remove(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        Access access{module, args, count, 2};
        const ep_status status =
            engine().host->store_remove(access.store.get(), access.env.get(), access.term(args[1]));
        return py::Ref::borrow(Access::found(status) ? Py_True : Py_False);
    });
}

PyObject *store_has(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        Access access{module, args, count, 2};
        ERL_NIF_TERM value = 0;
        int32_t pickled = 0;
        const bool found = Access::found(
            engine().host->store_get(access.store.get(), access.env.get(), access.term(args[1]), &value, &pickled));
        return py::Ref::borrow(found ? Py_True : Py_False);
    });
}

// There may be very many: the interpreter is let go meanwhile.
PyObject *store_keys(PyObject *module, PyObject *store) noexcept {
    return guarded([&] {
        Access access{module, &store, 1, 1};
        ErlNifEnv *env = access.env.get();
        ERL_NIF_TERM keys = 0;
        ep_status status = EP_OK;
        Py_BEGIN_ALLOW_THREADS;
        status = engine().host->store_keys(access.store.get(), env, &keys);
        Py_END_ALLOW_THREADS;
        Access::found(status);
        py::Ref list = py::Ref::check(PyList_New(0));
        ERL_NIF_TERM key = 0;
        while (enif_get_list_cell(env, keys, &key, &keys)) {
            py::check(PyList_Append(list.get(), decode_any(env, *access.state.interpreter, key).get()));
        }
        return list;
    });
}

PyObject *store_size(PyObject *module, PyObject *store) noexcept {
    return guarded([&] {
        Access access{module, &store, 1, 1};
        uint64_t size = 0;
        Access::found(engine().host->store_size(access.store.get(), &size));
        return py::Ref::check(PyLong_FromUnsignedLongLong(size));
    });
}

PyObject *store_close(PyObject *module, PyObject *store) noexcept {
    return guarded([&] {
        Access access{module, &store, 1, 1};
        if (access.store.get() != nullptr) {
            Py_BEGIN_ALLOW_THREADS;
            engine().host->store_close(access.store.get());
            Py_END_ALLOW_THREADS;
        }
        return py::Ref::borrow(Py_None);
    });
}

} // namespace ep
