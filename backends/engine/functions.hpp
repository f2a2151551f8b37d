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
    // `copies`: what is built may be sent by send().
    explicit SendEnv(bool copies = false) : interp_(current_interp()) {
        if (interp_ != nullptr && !interp_->sending) {
            interp_->sending = true;
            env_ = interp_->send_env;
            if (!copies && interp_->copied != 0) {
                clear();
            }
        } else {
            interp_ = nullptr;
            env_ = engine().host->env_take();
        }
    }
    ~SendEnv() {
        if (interp_ == nullptr) {
            engine().host->env_give(env_);
            return;
        }
        interp_->copied += copied_;
        if (copied_ == 0 || interp_->copied > most_copied) {
            clear();
        }
        interp_->sending = false;
    }
    SendEnv(const SendEnv &) = delete;
    SendEnv &operator=(const SendEnv &) = delete;
    ErlNifEnv *get() const noexcept { return env_; }
    // Sends a message that was built in it from that; false: nobody got it. A small one is copied: what is sent with an
    // environment takes the receiver as much memory as that has reserved, some kilobytes.
    bool send(const ErlNifPid &to, ERL_NIF_TERM message, const ep_flat &of) noexcept {
        const bool empty = interp_ == nullptr || interp_->copied == 0;
        const bool copy = is_small(of) && !(empty && is_immediate(of));
        copied_ = copy ? static_cast<uint32_t>(of.bytes.size) : 0;
        return enif_send(nullptr, &to, copy ? nullptr : env_, message) != 0;
    }

private:
    static constexpr uint32_t most_copied = 1024; // bytes of flat values whose terms are still in send_env

    // Nothing of it is in an environment, unless it is a large integer.
    static bool is_immediate(const ep_flat &flat) noexcept {
        switch (*flat.bytes.data) {
        case EP_TAG_NONE:
        case EP_TAG_TRUE:
        case EP_TAG_FALSE:
        case EP_TAG_INT:
        case EP_TAG_ATOM:
        case EP_TAG_PID: return true;
        default: return false;
        }
    }
    void clear() noexcept {
        enif_clear_env(env_);
        interp_->copied = 0;
    }

    ep_interp *interp_;
    ErlNifEnv *env_ = nullptr;
    uint32_t copied_ = 0;
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
