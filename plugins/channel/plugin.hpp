// The plugin `channel`: channels of terms and of bytes, and buffers.
#pragma once

#include <erlang_python/plugin.h>

#include <new>

namespace ep::channel {

// The core's table. Constant from the loading of the plugin on.
const ep_host &host() noexcept;

struct Atoms {
    ERL_NIF_TERM size, max_size, closed, true_, false_, waiter_exists, not_subscribed, too_large, py_channel_message,
        py_channel_closed, undefined, memoryview_exists, out_of_range, not_ended;
};
const Atoms &atoms() noexcept;

// An environment of the host's pool.
class HostEnv {
public:
    HostEnv() : env_(host().env_take()) {}
    ~HostEnv() {
        if (env_ != nullptr) {
            host().env_give(env_);
        }
    }
    HostEnv(const HostEnv &) = delete;
    HostEnv &operator=(const HostEnv &) = delete;
    ErlNifEnv *get() const noexcept { return env_; }
    ErlNifEnv *release() noexcept {
        ErlNifEnv *env = env_;
        env_ = nullptr;
        return env;
    }

private:
    ErlNifEnv *env_;
};

// Whether the calling thread must return within a millisecond.
inline bool on_scheduler() noexcept {
    return enif_thread_type() == ERL_NIF_THR_NORMAL_SCHEDULER;
}

} // namespace ep::channel
