// The functions of the module _erlang, and what they have in common.
#pragma once

#include "source.hpp"

#include <new>
#include <string_view>
#include <utility>

namespace ep {

inline ModuleState &state_of(PyObject *module) {
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

// The text's own memory. Raises for lone surrogates.
inline std::string_view utf8(PyObject *text) {
    Py_ssize_t size = 0;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data == nullptr) {
        throw py::Raised{};
    }
    return {data, static_cast<size_t>(size)};
}

// erlang.call(name, *args)
PyObject *call_function(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *call_function_alone(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
// erlang.send(destination, message)
PyObject *send_message(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
// erlang.whereis(name)
PyObject *whereis(PyObject *module, PyObject *name) noexcept;
// erlang.atom(name)
PyObject *make_atom_object(PyObject *module, PyObject *name) noexcept;

// messages.cpp: (feed, message), (feed)
PyObject *feed_message(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *feed_is_open(PyObject *module, PyObject *feed) noexcept;

// output.cpp
PyObject *of_request(PyObject *module, PyObject *make) noexcept;
// async_calls.cpp
PyObject *loop_inbox(PyObject *module, PyObject *) noexcept;
PyObject *call_async(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *close_inbox(PyObject *module, PyObject *inbox) noexcept;
PyObject *take_answers(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
// interruption.cpp
PyObject *uninterruptible(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
// polling.cpp
PyObject *poll_fd(PyObject *module, PyObject *) noexcept;
PyObject *poll_files(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;

// tasks.cpp
PyObject *answer_task(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *fail_task(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *task_is_open(PyObject *module, PyObject *task) noexcept;
PyObject *take_tasks(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;

// plugins.cpp
void add_plugin_types(PyObject *module, ModuleState &state);
PyObject *plugin_function(PyObject *module, PyObject *args) noexcept;
PyObject *plugin_wait(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *plugin_poll(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;

// loops.cpp
PyObject *loop_new(PyObject *module, PyObject *) noexcept;
PyObject *loop_term(PyObject *module, PyObject *loop) noexcept;
PyObject *loop_close(PyObject *module, PyObject *loop) noexcept;
PyObject *loop_fd(PyObject *module, PyObject *loop) noexcept;
PyObject *loop_watch(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *loop_change(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *loop_forget(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *loop_rearm(PyObject *module, PyObject *loop) noexcept;
PyObject *loop_take(PyObject *module, PyObject *loop) noexcept;

// stores.cpp
PyObject *store_get(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *store_put(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *store_add(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *store_remove(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *store_has(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept;
PyObject *store_keys(PyObject *module, PyObject *store) noexcept;
PyObject *store_size(PyObject *module, PyObject *store) noexcept;
PyObject *store_close(PyObject *module, PyObject *store) noexcept;

} // namespace ep
