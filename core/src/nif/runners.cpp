#include "runners.hpp"

#include "core.hpp"

#include <algorithm>

namespace ep {

bool Runners::ready(const ErlNifPid &runner) noexcept {
    std::lock_guard lock{mutex_};
    if (count_ == capacity) {
        return false;
    }
    idle_[count_++] = runner;
    return true;
}

bool Runners::leaves(const ErlNifPid &runner) noexcept {
    std::lock_guard lock{mutex_};
    ErlNifPid *end = idle_ + count_;
    ErlNifPid *kept = std::remove_if(idle_, end, [&](const ErlNifPid &other) { return other.pid == runner.pid; });
    count_ -= static_cast<size_t>(end - kept);
    return kept != end;
}

bool Runners::take(ErlNifPid &runner) noexcept {
    std::lock_guard lock{mutex_};
    if (count_ == 0) {
        return false;
    }
    runner = idle_[--count_];
    return true;
}

bool Runners::run(ErlNifEnv *env, ERL_NIF_TERM what) noexcept {
    ErlNifPid runner;
    if (core().host_process.is_set()) {
        ERL_NIF_TERM message = enif_make_tuple2(env, core().atoms.py_native, what);
        while (take(runner)) {
            if (enif_send(nullptr, &runner, env, message)) { // else somebody killed it
                enif_clear_env(env);
                return true;
            }
        }
    }
    return core().host_process.send(nullptr, env, what);
}

} // namespace ep
