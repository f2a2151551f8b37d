// NIFs that end requests early, and that take and give what was asked for.
#include "arguments.hpp"
#include "budget.hpp"
#include "callback.hpp"
#include "context.hpp"
#include "core.hpp"
#include "handles.hpp"
#include "kept_flat.hpp"
#include "nifs.hpp"

#include <erlang_python/convert/terms.hpp>

namespace ep {

namespace {

ERL_NIF_TERM overloaded(ErlNifEnv *env) {
    Semaphore &semaphore = core().semaphore;
    return enif_make_tuple3(env, core().atoms.overloaded, enif_make_uint(env, semaphore.current()),
                            enif_make_uint(env, semaphore.max()));
}

// Ends a request of the calling process that runs in a context which is stopping, and may be held up there by one on top
// of it. False when its answer is on its way.
bool give_up(uint64_t handle) {
    uint64_t generation = 0;
    Request *request = handle != 0 ? find_request(handle, generation) : nullptr;
    if (request == nullptr || request->state.cancel(generation) != Cancelled::running) {
        return false;
    }
    request->state.settle();
    return true;
}

// Callback, ok | error, Value
template <uint64_t budget> ERL_NIF_TERM answer(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    auto *callback = get_resource<Callback>(env, argv[0], core().types.callback);
    const bool good = argv[1] == core().atoms.ok;
    if (!good && argv[1] != core().atoms.error) {
        throw BadArgument{};
    }
    Reply *reply = take_reply(callback->frame, good ? EP_OK : EP_FAILED);
    if (reply == nullptr) {
        throw std::bad_alloc{};
    }
    Decoded decoded = Decoder{env, core().conversion, is_object, reply->flat, budget}.value(argv[2]);
    if (decoded == Decoded::over_budget) {
        recycle(reply);
        return on_dirty_scheduler(env, "answer", guarded<answer<no_budget>>, argc, argv);
    }
    if (decoded != Decoded::ok) {
        reply->flat.clear();
        reply->status = EP_FAILED;
        reply->flat.text(decoded == Decoded::improper_list
                             ? "the Erlang function returned an improper list, which has no Python form"
                             : "the Erlang function returned a term that nests too deep");
    }
    if (!settle(*callback)) {
        recycle(reply);
        return core().atoms.ok;
    }
    ERL_NIF_TERM result = core().atoms.ok;
    ERL_NIF_TERM reason = 0;
    if (Request *over = end_call(*callback, reason)) {
        recycle(over, env);
        recycle(reply);
        result = enif_make_tuple2(env, core().atoms.final, make_error(env, reason));
    } else if (callback->context != nullptr && callback->context->stopping() && give_up(callback->handle)) {
        recycle(reply);
        result = enif_make_tuple2(env, core().atoms.final, make_error(env, core().atoms.context_stopped));
    } else {
        deliver(*callback, reply);
    }
    let_go(*callback);
    return result;
}

// Flat
template <size_t largest> ERL_NIF_TERM build(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    auto *kept = get_resource<KeptFlat>(env, argv[0], core().types.flat);
    const ep_flat flat = kept->flat.view();
    if (flat.bytes.size == 0) {
        throw BadArgument{}; // built already
    }
    if (flat.bytes.size > largest) {
        return on_dirty_scheduler(env, "build", guarded<build<SIZE_MAX>>, argc, argv);
    }
    ERL_NIF_TERM result;
    try {
        FlatReader reader{flat};
        TermBuilder builder{env, core().conversion};
        result = enif_make_tuple2(env, core().atoms.ok, replay(reader, builder));
    } catch (const SameKey &) {
        result = make_exception(env, "ValueError", "two keys of a dict are the same Erlang term, such as 'a' and b'a'");
    } catch (const NoForm &form) {
        result = make_exception(env, "OverflowError", form.why);
    }
    kept->flat.clear(0);
    if (ErlNifEnv *used = kept->flat.used_env()) {
        enif_clear_env(used);
    }
    return result;
}

} // namespace

ERL_NIF_TERM nif_cancel(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifUInt64 handle = 0;
    if (!enif_get_uint64(env, argv[0], &handle)) {
        throw BadArgument{};
    }
    uint64_t generation = 0;
    Request *request = find_request(handle, generation);
    if (request == nullptr) {
        return core().atoms.replied;
    }
    const Cancelled was = request->state.cancel(generation);
    if (was == Cancelled::too_late) {
        return core().atoms.replied;
    }
    if (was == Cancelled::parked) {
        return core().atoms.callback;
    }
    if (was == Cancelled::queued) {
        const bool in_line = core().semaphore.withdraw(*request);
        release_slot(request, env); // not only when its context gets to it
        request->state.settle();
        if (in_line) {
            recycle(request, env);
            return overloaded(env);
        }
        return core().atoms.cancelled;
    }
    Context *context = request->context;
    enif_keep_resource(context);
    request->interrupted.store(true);
    request->state.settle();
    context->wake();
    core().runtime.interrupt(context, handle);
    enif_release_resource(context);
    return was == Cancelled::calling ? core().atoms.callback : core().atoms.cancelled;
}

Nif nif_answer = guarded<answer<scheduler_budget>>;

Nif nif_build = guarded<build<largest_built_on_scheduler>>;

} // namespace ep
