// The plugin `channel`: channels of terms and of bytes, and buffers.
#pragma once

#include "../entry.hpp"

#include <cstdint>
#include <new>

namespace ep::channel {

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

// A process that works in a loop gives way as one that does anything else. In percent of its timeslice.
inline void spend(const ep_call &call, uint64_t percent) noexcept {
    if (percent > 0 && call.from == EP_FROM_ERLANG && on_scheduler()) {
        enif_consume_timeslice(call.env, static_cast<int>(percent < 100 ? percent : 100));
    }
}

} // namespace ep::channel
