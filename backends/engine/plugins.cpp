// Functions of plugins as Python calls them, and the waits for what they have not got yet.
#include "builder.hpp"
#include "decoding.hpp"
#include "functions.hpp"
#include "term_object.hpp"

#include <erlang_python/plugin.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <structmember.h>
#include <utility>

namespace ep {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t most_arguments = 6;

// ---------------------------------------------------------------------------------------------------------------------
// Types

struct FunctionObject {
    PyObject_HEAD const ep_function *function;
    vectorcallfunc vectorcall;
    PyObject *name; // for messages
};

struct WakerObject {
    PyObject_HEAD ep_waker *waker; // nullptr: given back
};

template <class Object> Object *as(PyObject *object) noexcept {
    return reinterpret_cast<Object *>(object);
}

// Gives a waker back in the end.
class OwnWaker {
public:
    explicit OwnWaker(ep_waker *waker = nullptr) noexcept : waker_(waker) {}
    OwnWaker(OwnWaker &&other) noexcept : waker_(other.release()) {}
    OwnWaker &operator=(OwnWaker &&other) noexcept {
        std::swap(waker_, other.waker_);
        return *this;
    }
    ~OwnWaker() { done(false); }
    OwnWaker(const OwnWaker &) = delete;
    OwnWaker &operator=(const OwnWaker &) = delete;

    ep_waker *get() const noexcept { return waker_; }
    ep_waker *release() noexcept { return std::exchange(waker_, nullptr); }
    void done(bool called_again) noexcept {
        if (ep_waker *waker = release()) {
            engine().host->waker_done(waker, called_again ? 1 : 0, nullptr);
        }
    }

private:
    ep_waker *waker_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Calls

// A result that lives elsewhere is given back, whatever becomes of it.
class Result {
public:
    explicit Result(ep_call &call) noexcept : call_(call) {}
    ~Result() {
        if (call_.owner != nullptr) {
            call_.release(call_.owner);
        }
    }
    Result(const Result &) = delete;
    Result &operator=(const Result &) = delete;

    py::Ref value(ModuleState &state, uint32_t flags) const {
        ErlNifBinary binary;
        if (call_.result == 0) {
            return py::Ref::borrow(Py_None);
        }
        if ((flags & (EP_FUNCTION_BYTES | EP_FUNCTION_VIEW)) == 0 ||
            !enif_inspect_binary(call_.env, call_.result, &binary)) {
            return decode_any(call_.env, *state.interpreter, call_.result);
        }
        if ((flags & EP_FUNCTION_BYTES) != 0) {
            return py::Ref::check(PyBytes_FromStringAndSize(reinterpret_cast<const char *>(binary.data),
                                                            static_cast<Py_ssize_t>(binary.size)));
        }
        struct Box {
            TermBox *box = new TermBox; // its own: a reference that is kept must not keep a large binary, too
            ~Box() { box->release(); }
        } own;
        ViewOwner owner{std::exchange(call_.owner, nullptr), call_.release};
        return make_view(state.view.get(), call_.result, own.box, std::move(owner));
    }

private:
    ep_call &call_;
};

[[noreturn]] void fail(ModuleState &state, ep_status status, const Result &result, PyObject *name) {
    if (status == EP_WRONG_KIND) {
        py::raise(PyExc_TypeError, "%U() does not take these arguments", name);
    }
    if (status == EP_NOT_LOADED) {
        py::raise(PyExc_ImportError, "%U() is gone: the configuration leaves its plugin out", name);
    }
    py::Ref reason = status == EP_CLOSED ? py::Ref::check(PyUnicode_FromString("closed")) : result.value(state, 0);
    PyErr_SetObject(state.plugin_error.get(), reason.get());
    throw py::Raised{};
}

// Empty: pending.
py::Ref call_plugin(ModuleState &state, const FunctionObject &object, PyObject *const *args, Py_ssize_t count,
                    ep_waker *waker) {
    const ep_function &function = *object.function;
    if (count != static_cast<Py_ssize_t>(function.arity)) {
        py::raise(PyExc_TypeError, "%U() takes %u arguments, not %zd", object.name, function.arity, count);
    }
    SendEnv env;
    ERL_NIF_TERM terms[most_arguments];
    for (Py_ssize_t i = 0; i < count; ++i) {
        auto *type = Py_TYPE(args[i]);
        const bool has_term = type == reinterpret_cast<PyTypeObject *>(state.ref.get()) ||
                              PyObject_TypeCheck(args[i], reinterpret_cast<PyTypeObject *>(state.handle.get()));
        terms[i] = has_term ? as_term_object(args[i])->term : encode(env.get(), *state.interpreter, args[i]);
    }
    ep_call call{};
    call.size = sizeof call;
    call.from = EP_FROM_PYTHON;
    call.env = env.get();
    call.args = terms;
    call.waker = waker;
    ep_status status = EP_TOO_LONG;
    if ((function.flags & (EP_FUNCTION_DIRTY_CPU | EP_FUNCTION_DIRTY_IO)) == 0) {
        status = function.body(&call);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        status = function.body(&call);
        Py_END_ALLOW_THREADS;
    }
    Result result{call};
    switch (status) {
    case EP_OK: return result.value(state, function.flags);
    case EP_PENDING: return {};
    default: fail(state, status, result, object.name);
    }
}

PyObject *vectorcall(PyObject *self, PyObject *const *args, size_t flags, PyObject *keywords) noexcept {
    return guarded([&] {
        if (keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0) {
            py::raise(PyExc_TypeError, "%U() takes no keyword arguments", as<FunctionObject>(self)->name);
        }
        auto *module = static_cast<ModuleState *>(PyType_GetModuleState(Py_TYPE(self)));
        py::Ref value = call_plugin(*module, *as<FunctionObject>(self), args, PyVectorcall_NARGS(flags), nullptr);
        return value ? std::move(value) : module->pending.copy();
    });
}

void dealloc_function(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(as<FunctionObject>(self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

void dealloc_waker(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    OwnWaker{as<WakerObject>(self)->waker}.done(false);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *function_repr(PyObject *self) {
    return PyUnicode_FromFormat("<function %U of a plugin>", as<FunctionObject>(self)->name);
}

PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FunctionObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

py::Ref make_function_type(PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void *>(dealloc_function)},
        {Py_tp_repr, reinterpret_cast<void *>(function_repr)},
        {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
        {Py_tp_members, function_members},
        {Py_tp_doc, const_cast<char *>("A function of a plugin. erlang.PluginError: it failed, for this reason.")},
        {0, nullptr},
    };
    PyType_Spec spec{"erlang.PluginFunction", sizeof(FunctionObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE |
                         Py_TPFLAGS_HAVE_VECTORCALL,
                     slots};
    return py::Ref::check(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

py::Ref make_waker_type(PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void *>(dealloc_waker)},
        {Py_tp_doc, const_cast<char *>("A coroutine's wait for a plugin; over when nobody refers to it.")},
        {0, nullptr},
    };
    PyType_Spec spec{"erlang.Waker", sizeof(WakerObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
    return py::Ref::check(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

template <class Object> Object *allocate(const py::Ref &type) {
    auto *python_type = reinterpret_cast<PyTypeObject *>(type.get());
    PyObject *object = py::Ref::check(python_type->tp_alloc(python_type, 0)).release();
    return as<Object>(object);
}

FunctionObject &function_argument(ModuleState &state, PyObject *const *args, Py_ssize_t count, Py_ssize_t least) {
    if (count < least || reinterpret_cast<PyObject *>(Py_TYPE(args[0])) != state.plugin_function.get()) {
        py::raise(PyExc_TypeError, "expected a function of a plugin first, and %zd arguments at least", least);
    }
    return *as<FunctionObject>(args[0]);
}

// Seconds, or None; nothing: for ever.
std::optional<Clock::time_point> deadline_of(PyObject *seconds) {
    if (seconds == Py_None) {
        return std::nullopt;
    }
    const double value = PyFloat_AsDouble(seconds);
    if (value == -1.0 && PyErr_Occurred()) {
        throw py::Raised{};
    }
    if (!(value >= 0)) {
        py::raise(PyExc_ValueError, "a timeout is None or a number of seconds, 0 or more, not %R", seconds);
    }
    constexpr double most = 1e9; // some thirty years
    return Clock::now() + std::chrono::nanoseconds{static_cast<int64_t>(std::min(value, most) * 1e9)};
}

int64_t left_until(const std::optional<Clock::time_point> &deadline) {
    if (!deadline) {
        return -1;
    }
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(*deadline - Clock::now()).count();
    return std::max<int64_t>(left, 0);
}

// Returns whether it was woken, and in time.
bool sleep(ModuleState &state, ep_waker *waker, int64_t nanoseconds, PyObject *name) {
    ep_interp *interp = current_interp();
    ep_status status = EP_OK;
    if (interp != nullptr) {
        status = engine().host->waker_wait(interp->context, waker, nanoseconds);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        status = engine().host->waker_wait(nullptr, waker, nanoseconds);
        Py_END_ALLOW_THREADS;
    }
    switch (status) {
    case EP_OK: return true;
    case EP_PENDING: return false;
    case EP_TOO_DEEP: py::raise(PyExc_RecursionError, "%U(): too many calls of this context wait", name);
    default:
        if (interp != nullptr) {
            forget_interrupt(*interp); // raised here and now instead
        }
        py::raise(state.interrupted.get(), "interrupted while %U() waited", name);
    }
}

} // namespace

void add_plugin_types(PyObject *module, ModuleState &state) {
    state.plugin_function = make_function_type(module);
    state.waker = make_waker_type(module);
    state.pending = py::Ref::check(PyObject_CallNoArgs(reinterpret_cast<PyObject *>(&PyBaseObject_Type)));
    py::check(PyModule_AddObjectRef(module, "PENDING", state.pending.get()));
    py::check(PyModule_AddObjectRef(module, "Waker", state.waker.get()));
    state.handle_classes = py::Ref::check(PyDict_New());
}

PyObject *plugin_function(PyObject *module, PyObject *args) noexcept {
    return guarded([&] {
        const char *plugin = nullptr;
        const char *name = nullptr;
        unsigned arity = 0;
        if (!PyArg_ParseTuple(args, "ssI", &plugin, &name, &arity)) {
            throw py::Raised{};
        }
        const ep_function *function = engine().host->function_of(plugin, name, arity);
        if (function == nullptr) {
            ep_error error{};
            engine().host->function_problem(plugin, name, arity, &error);
            py::raise(PyExc_ImportError, "%s", error.text);
        }
        auto *object = allocate<FunctionObject>(state_of(module).plugin_function);
        py::Ref owned = py::Ref::steal(reinterpret_cast<PyObject *>(object));
        object->function = function;
        object->vectorcall = vectorcall;
        object->name = py::Ref::check(PyUnicode_FromFormat("%s.%s", plugin, name)).release();
        return owned;
    });
}

PyObject *plugin_wait(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        ModuleState &state = state_of(module);
        FunctionObject &function = function_argument(state, args, count, 2);
        const auto deadline = deadline_of(args[1]);
        ep_interp *interp = current_interp();
        OwnWaker before;
        for (;;) {
            OwnWaker waker{engine().host->waker_new(interp != nullptr ? interp->context : nullptr)};
            py::Ref value = call_plugin(state, function, args + 2, count - 2, waker.get());
            before.done(true);
            if (value) {
                return value;
            }
            if (!sleep(state, waker.get(), left_until(deadline), function.name)) {
                return state.pending.copy();
            }
            before = std::move(waker);
        }
    });
}

PyObject *plugin_poll(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        ModuleState &state = state_of(module);
        FunctionObject &function = function_argument(state, args, count, 4);
        const unsigned long long number = PyLong_AsUnsignedLongLong(args[2]);
        if (PyErr_Occurred()) {
            throw py::Raised{};
        }
        const bool is_ref = reinterpret_cast<PyObject *>(Py_TYPE(args[1])) == state.ref.get();
        TermObject *inbox = is_ref ? as_term_object(args[1]) : nullptr;
        OwnWaker waker{inbox == nullptr || inbox->box == nullptr
                           ? nullptr
                           : engine().host->waker_new_for_loop(inbox->box->env(), inbox->term, number)};
        if (waker.get() == nullptr) {
            py::raise(PyExc_TypeError, "an inbox is what loop_inbox() returns, not %.100s", Py_TYPE(args[1])->tp_name);
        }
        py::Ref object = py::Ref::steal(reinterpret_cast<PyObject *>(allocate<WakerObject>(state.waker)));
        struct Before { // given back after the call, and whatever that comes to
            OwnWaker waker;
            ~Before() { waker.done(true); }
        } before;
        if (reinterpret_cast<PyObject *>(Py_TYPE(args[3])) == state.waker.get()) {
            before.waker = OwnWaker{std::exchange(as<WakerObject>(args[3])->waker, nullptr)};
        }
        py::Ref value = call_plugin(state, function, args + 4, count - 4, waker.get());
        if (value) {
            return value;
        }
        as<WakerObject>(object.get())->waker = waker.release();
        return object;
    });
}

} // namespace ep
