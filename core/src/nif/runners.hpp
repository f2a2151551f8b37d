// Erlang processes that wait to run callbacks nobody else can run: those of casts and of Python's own threads.
#pragma once

#include <erl_nif.h>
#include <mutex>

namespace ep {

// Any thread. Whoever takes a runner out of here sends it one callback; so a runner that finds itself gone knows that one
// is on its way (erlang/src/py_runner.erl).
class Runners {
public:
    // A runner is free again. False when there are enough: it is to end.
    bool ready(const ErlNifPid &runner) noexcept;
    // A runner is about to end. False when it has just been taken.
    bool leaves(const ErlNifPid &runner) noexcept;
    // Has a callback run; `what` lives in `env`, whose contents are gone afterwards either way. False when the
    // application is not running. On a thread of ours only.
    bool run(ErlNifEnv *env, ERL_NIF_TERM what) noexcept;

private:
    bool take(ErlNifPid &runner) noexcept;

    static constexpr size_t capacity = 16; // idle ones; as many as are needed may run
    std::mutex mutex_;
    ErlNifPid idle_[capacity]{}; // guarded by mutex_; the latest, whose memory is warm, is taken first
    size_t count_ = 0;           // guarded by mutex_
};

} // namespace ep
