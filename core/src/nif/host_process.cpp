#include "host_process.hpp"

#include "core.hpp"

namespace ep {

bool HostProcess::send(ErlNifEnv *caller, ErlNifEnv *env, ERL_NIF_TERM what) noexcept {
    ErlNifPid pid{pid_.load()};
    bool sent = false;
    if (pid.pid != 0) {
        sent = enif_send(caller, &pid, env, enif_make_tuple2(env, core().atoms.py_native, what)) != 0;
    }
    enif_clear_env(env);
    return sent;
}

void HostProcess::log(ErlNifEnv *caller, int32_t level, std::string_view text) noexcept {
    if (caller == nullptr && enif_thread_type() != ERL_NIF_THR_UNDEFINED) {
        return; // a scheduler without its environment must not send
    }
    static constexpr const char *levels[] = {"error", "warning", "info", "debug"};
    const char *name = levels[level >= 0 && level <= 3 ? level : 0];
    ErlNifEnv *env = enif_alloc_env();
    send(caller, env, enif_make_tuple3(env, core().atoms.log, enif_make_atom(env, name), make_binary(env, text)));
    enif_free_env(env);
}

} // namespace ep
