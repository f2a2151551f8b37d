#include "core.hpp"

#include "handles.hpp"

namespace ep {

namespace {

Core *instance = nullptr;

// schedulers * 2 + 1 is set when the application starts; this is what the semaphore has before.
constexpr uint32_t initial_max = 5;

} // namespace

Atoms::Atoms(ErlNifEnv *env) {
    auto atom = [env](const char *name) { return enif_make_atom(env, name); };
    ok = atom("ok");
    error = atom("error");
    ready = atom("ready");
    undefined = atom("undefined");
    true_ = atom("true");
    false_ = atom("false");
    context_stopped = atom("context_stopped");
    env_wrong_interpreter = atom("env_wrong_interpreter");
    interrupted = atom("interrupted");
    timeout = atom("timeout");
    overloaded = atom("overloaded");
    not_running = atom("not_running");
    cancelled = atom("cancelled");
    callback = atom("callback");
    replied = atom("replied");
    granted = atom("granted");
    wait = atom("wait");
    flat = atom("flat");
    final = atom("final");
    ancestry = atom("ancestry");
    py_native = atom("py_native");
    forward = atom("forward");
    log = atom("log");
    infinity = atom("infinity");
    state = atom("state");
    async_result = atom("async_result");
    py_wake = atom("py_wake");
    pending = atom("pending");
    open = atom("open");
    ending = atom("ending");
    over = atom("over");
    not_owner = atom("not_owner");
    py_event = atom("py_event");
    py_event_loop = atom("py_event_loop");
    py_event_loop_work = atom("py_event_loop_work");
    no_worker = atom("no_worker");
    closed = atom("closed");
    read = atom("read");
    write = atom("write");
    timer = atom("timer");
}

Core::Core(ErlNifEnv *env, const std::string &priv_directory)
    : atoms(env), conversion(env), semaphore(initial_max), runtime(priv_directory) {}

Core &core() noexcept {
    return *instance;
}

void make_core(ErlNifEnv *env, const std::string &priv_directory) {
    if (instance == nullptr) { // else the module was purged and comes back, and threads of ours have been running on
        instance = new Core(env, priv_directory);
    }
}

ERL_NIF_TERM make_error(ErlNifEnv *env, ERL_NIF_TERM reason) {
    return enif_make_tuple2(env, core().atoms.error, reason);
}

ERL_NIF_TERM make_binary(ErlNifEnv *env, std::string_view text) {
    ERL_NIF_TERM term;
    unsigned char *data = enif_make_new_binary(env, text.size(), &term);
    copy_bytes(data, text.data(), text.size());
    return term;
}

ERL_NIF_TERM make_exception(ErlNifEnv *env, const char *exception, std::string_view message) {
    ERL_NIF_TERM text = enif_make_string_len(env, message.data(), message.size(), ERL_NIF_LATIN1);
    return make_error(env, enif_make_tuple2(env, enif_make_atom(env, exception), text));
}

ERL_NIF_TERM conversion_error(ErlNifEnv *env, Decoded result) {
    if (result == Decoded::improper_list) {
        return make_exception(env, "ValueError", "an improper list has no Python form; give it a proper tail");
    }
    return make_exception(env, "ValueError",
                          "the term nests deeper than " + std::to_string(max_nesting) + " levels; flatten it");
}

} // namespace ep
