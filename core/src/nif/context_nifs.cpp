// NIFs about contexts and what lives in them.
#include "arguments.hpp"
#include "context.hpp"
#include "handles.hpp"
#include "nifs.hpp"

#include <new>

namespace ep {

namespace {

Context *get_context(ErlNifEnv *env, ERL_NIF_TERM term) {
    return get_resource<Context>(env, term, core().types.context);
}

// The backend that contexts with these options need. A free-threaded Python serves worker, too.
Kind get_kind(ErlNifEnv *env, ERL_NIF_TERM options) {
    ERL_NIF_TERM mode;
    const bool owngil =
        enif_get_map_value(env, options, enif_make_atom(env, "mode"), &mode) && mode == enif_make_atom(env, "owngil");
    return owngil ? Kind::owngil : Kind::shared;
}

// What py:spawn_call gives out: remembers the handle of its request. 0: none yet.
struct Async {
    std::atomic<uint64_t> handle{0};
};

// A problem with the wanted limit, as an atom; 0 when there is none.
ERL_NIF_TERM limit_problem(ErlNifEnv *env, Kind kind, const ep_backend *backend) {
    if (kind != Kind::owngil) {
        return enif_make_atom(env, "memory_limit_requires_owngil");
    }
    const bool enabled = core().runtime.has_memory_limits() && backend->memory != nullptr;
    return enabled ? 0 : enif_make_atom(env, "memory_limits_not_enabled");
}

} // namespace

ERL_NIF_TERM nif_context_new(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    if (!enif_is_ref(env, argv[0]) || !enif_is_map(env, argv[1])) {
        throw BadArgument{};
    }
    ep_open options{};
    options.size = sizeof options;
    ERL_NIF_TERM limit;
    if (enif_get_map_value(env, argv[1], enif_make_atom(env, "memory_limit"), &limit)) {
        ErlNifUInt64 bytes = 0;
        if (!enif_get_uint64(env, limit, &bytes) || bytes == 0) {
            throw BadArgument{};
        }
        options.memory_limit = bytes;
    }
    const Kind kind = get_kind(env, argv[1]);
    const ep_backend *backend = core().runtime.backend(kind);
    if (backend == nullptr) {
        return make_error(env, enif_make_atom(env, core().runtime.started() ? "not_loaded" : "not_started"));
    }
    if (options.memory_limit != 0) {
        if (ERL_NIF_TERM problem = limit_problem(env, kind, backend)) {
            return make_error(env, problem);
        }
    }
    ErlNifPid owner;
    enif_self(env, &owner);
    void *memory = enif_alloc_resource(core().types.context, sizeof(Context));
    auto *context = new (memory) Context{backend, options, owner, core().next_unique.fetch_add(1)};
    ERL_NIF_TERM term = enif_make_resource(env, context);
    const bool started = context->start(env, argv[0]);
    enif_release_resource(context);
    if (!started) {
        return make_error(env, enif_make_atom(env, "system_limit"));
    }
    return enif_make_tuple2(env, core().atoms.ok, term);
}

ERL_NIF_TERM nif_context_destroy(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    get_context(env, argv[0])->stop(env);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_contexts(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    return core().contexts.list(env);
}

ERL_NIF_TERM nif_context_of(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifPid pid;
    if (!enif_get_local_pid(env, argv[0], &pid)) {
        return core().atoms.undefined;
    }
    ERL_NIF_TERM context = core().contexts.find(env, pid);
    return context != 0 ? context : core().atoms.undefined;
}

ERL_NIF_TERM nif_context_join(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifPid self;
    enif_self(env, &self);
    get_context(env, argv[0])->join(env, self);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_context_id(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return enif_make_uint64(env, get_context(env, argv[0])->id());
}

ERL_NIF_TERM nif_context_interrupt(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return get_context(env, argv[0])->interrupt_running() ? core().atoms.ok : core().atoms.not_running;
}

// {ok, {Used, Peak, Limit}} in bytes, or error.
ERL_NIF_TERM nif_context_memory(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ep_memory memory{};
    if (!get_context(env, argv[0])->memory(memory)) {
        return core().atoms.error;
    }
    ERL_NIF_TERM numbers = enif_make_tuple3(env, enif_make_uint64(env, memory.used), enif_make_uint64(env, memory.peak),
                                            enif_make_uint64(env, memory.limit));
    return enif_make_tuple2(env, core().atoms.ok, numbers);
}

ERL_NIF_TERM nif_load_backend(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    RuntimeError error = core().runtime.load(get_kind(env, argv[0]));
    if (error.code.empty()) {
        return core().atoms.ok;
    }
    ERL_NIF_TERM code = enif_make_atom(env, error.code.c_str());
    const bool plain = error.code.starts_with("owngil_"); // says it all
    return make_error(env, plain ? code : enif_make_tuple2(env, code, make_binary(env, error.text)));
}

ERL_NIF_TERM nif_env_new(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return make_space(env, get_context(env, argv[0]));
}

ERL_NIF_TERM nif_is_env(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    void *resource = nullptr;
    return enif_get_resource(env, argv[0], core().types.space, &resource) ? core().atoms.true_ : core().atoms.false_;
}

ERL_NIF_TERM nif_is_object(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return is_object(env, argv[0]) ? core().atoms.true_ : core().atoms.false_;
}

ERL_NIF_TERM nif_object_context(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return enif_make_resource(env, get_resource<Object>(env, argv[0], core().types.object)->context);
}

ERL_NIF_TERM nif_async_new(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    auto *async = new (enif_alloc_resource(core().types.async, sizeof(Async))) Async;
    ERL_NIF_TERM term = enif_make_resource(env, async);
    enif_release_resource(async);
    return term;
}

ERL_NIF_TERM nif_async_set(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifUInt64 handle = 0;
    if (!enif_get_uint64(env, argv[1], &handle)) {
        throw BadArgument{};
    }
    get_resource<Async>(env, argv[0], core().types.async)->handle.store(handle);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_async_handle(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    void *resource = nullptr;
    if (!enif_get_resource(env, argv[0], core().types.async, &resource)) {
        return core().atoms.error;
    }
    uint64_t handle = static_cast<Async *>(resource)->handle.load();
    return handle == 0 ? core().atoms.error : enif_make_tuple2(env, core().atoms.ok, enif_make_uint64(env, handle));
}

} // namespace ep
