// The Erlang process that does for the core what only a process can.
#pragma once

#include <atomic>
#include <erl_nif.h>
#include <string_view>

namespace ep {

// Any thread. `caller` is the environment of the NIF or resource callback that runs, or nullptr on a thread of ours.
class HostProcess {
public:
    void set(const ErlNifPid &pid) noexcept { pid_.store(pid.pid); }
    void clear() noexcept { pid_.store(0); }
    bool is_set() const noexcept { return pid_.load() != 0; }

    // Sends {py_native, What}; `what` lives in `env`, whose contents are gone afterwards either way. False when the
    // application is not running.
    bool send(ErlNifEnv *caller, ErlNifEnv *env, ERL_NIF_TERM what) noexcept;
    void log(ErlNifEnv *caller, int32_t level, std::string_view text) noexcept;

private:
    std::atomic<ERL_NIF_TERM> pid_{0}; // 0: there is none. Pids of this node are immediate terms.
};

} // namespace ep
