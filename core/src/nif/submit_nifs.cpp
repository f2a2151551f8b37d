// NIFs that start requests and end them early.
#include "arguments.hpp"
#include "callback.hpp"
#include "context.hpp"
#include "handles.hpp"
#include "kept_flat.hpp"
#include "nifs.hpp"

#include <erlang_python/convert/terms.hpp>

namespace ep {

namespace {

// How many terms a call on a normal scheduler may visit; it takes some 20 ns each. Beyond, the NIF starts over on a
// dirty scheduler.
constexpr uint64_t scheduler_budget = 20'000;
constexpr uint64_t no_budget = UINT64_MAX;
// The same for flat values that become terms, in bytes: a map of such a size takes well under a millisecond.
constexpr size_t largest_built_on_scheduler = 100'000;

using Nif = ERL_NIF_TERM (*)(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// A request being filled in; recycled when it is not dispatched.
class Draft {
public:
    // `tag` is Ref or {Ref, Ancestors}; `space` may be the atom undefined.
    Draft(ErlNifEnv *env, Context *context, ERL_NIF_TERM tag, ERL_NIF_TERM space_term, uint32_t flags, uint64_t budget)
        : env_(env), ref_(tag), flags_(flags) {
        int arity = 0;
        const ERL_NIF_TERM *parts = nullptr;
        if (enif_get_tuple(env, tag, &arity, &parts) && arity == 2) {
            ref_ = parts[0];
            ancestors_ = parts[1];
        }
        if (!enif_is_ref(env, ref_)) {
            throw BadArgument{};
        }
        if (ancestors_ == 0 && context->waits() && (flags & EP_NO_REPLY) == 0) {
            failure_ = core().atoms.ancestry;
            return;
        }
        Space *space = nullptr;
        if (space_term != core().atoms.undefined) {
            space = get_resource<Space>(env, space_term, core().types.space);
            if (space->context != context) {
                failure_ = make_error(env, core().atoms.env_wrong_interpreter);
                return;
            }
        }
        if (context->stopping()) {
            failure_ = make_error(env, core().atoms.context_stopped);
            return;
        }
        request_ = take_request(context, space);
        if (request_ == nullptr) {
            failure_ = make_error(env, enif_make_atom(env, "system_limit"));
            return;
        }
        decoder_.emplace(env, core().conversion, is_object, request_->flat, budget);
    }
    ~Draft() {
        if (request_ != nullptr) {
            recycle(request_, env_);
        }
    }
    Draft(const Draft &) = delete;
    Draft &operator=(const Draft &) = delete;

    // Whether adding went well so far. Once it did not, the rest does nothing.
    bool sound() const noexcept { return failure_ == 0 && decoded_ == Decoded::ok; }
    bool over_budget() const noexcept { return decoded_ == Decoded::over_budget; }

    void value(ERL_NIF_TERM term) {
        if (sound()) {
            decoded_ = decoder_->value(term);
        }
    }
    void name(ERL_NIF_TERM term) {
        if (!enif_is_atom(env_, term) && !enif_is_binary(env_, term)) {
            throw BadArgument{};
        }
        if (sound() && enif_is_atom(env_, term)) {
            request_->flat.atom(term); // `true` is a name here
        } else {
            value(term);
        }
    }
    void list(ERL_NIF_TERM term) {
        if (!enif_is_list(env_, term)) {
            throw BadArgument{};
        }
        value(term);
    }
    void map(ERL_NIF_TERM term) {
        if (!enif_is_map(env_, term)) {
            throw BadArgument{};
        }
        value(term);
    }
    void code(ERL_NIF_TERM term) {
        if (!enif_is_binary(env_, term)) {
            throw BadArgument{};
        }
        value(term);
    }

    // Sends it off. The handle, an error tuple, or the atom ancestry.
    ERL_NIF_TERM dispatch(uint32_t op) {
        if (failure_ != 0) {
            return failure_;
        }
        if (decoded_ != Decoded::ok) {
            return conversion_error(env_, decoded_);
        }
        Request *request = request_;
        if (ancestors_ != 0) {
            add_ancestors(ancestors_);
        }
        request->op = op;
        request->flags = flags_;
        if (request->wants_reply()) {
            request->ref = enif_make_copy(request->env, ref_);
        }
        enif_self(env_, &request->caller);
        const uint64_t handle = request->handle();
        request_ = nullptr;
        if (!ep::dispatch(request, env_)) {
            return make_error(env_, core().atoms.context_stopped);
        }
        return enif_make_uint64(env_, handle);
    }

private:
    void add_ancestors(ERL_NIF_TERM list) {
        ERL_NIF_TERM head;
        while (request_->ancestor_count < Request::most_ancestors && enif_get_list_cell(env_, list, &head, &list)) {
            if (!enif_get_local_pid(env_, head, &request_->ancestors[request_->ancestor_count++])) {
                throw BadArgument{};
            }
        }
    }

    ErlNifEnv *env_;
    ERL_NIF_TERM ref_;
    ERL_NIF_TERM ancestors_ = 0;
    uint32_t flags_;
    Request *request_ = nullptr;
    ERL_NIF_TERM failure_ = 0;
    Decoded decoded_ = Decoded::ok;
    std::optional<Decoder<FlatWriter>> decoder_;
};

ERL_NIF_TERM on_dirty_scheduler(ErlNifEnv *env, const char *name, Nif nif, int argc, const ERL_NIF_TERM argv[]) {
    return enif_schedule_nif(env, name, ERL_NIF_DIRTY_JOB_CPU_BOUND, nif, argc, argv);
}

// Context, Ref, Module, Function, Args, Kwargs, Env, Flags
template <uint64_t budget> ERL_NIF_TERM call(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    {
        Draft draft{
            env,   get_resource<Context>(env, argv[0], core().types.context), argv[1], argv[6], get_flags(env, argv[7]),
            budget};
        draft.name(argv[2]);
        draft.name(argv[3]);
        draft.list(argv[4]);
        draft.map(argv[5]);
        if (!draft.over_budget()) {
            return draft.dispatch(EP_OP_CALL);
        }
    }
    return on_dirty_scheduler(env, "submit_call", guarded<call<no_budget>>, argc, argv);
}

// Context, Ref, Code, Locals, Env, Flags
template <uint64_t budget> ERL_NIF_TERM eval(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    {
        Draft draft{
            env,   get_resource<Context>(env, argv[0], core().types.context), argv[1], argv[4], get_flags(env, argv[5]),
            budget};
        draft.code(argv[2]);
        draft.map(argv[3]);
        if (!draft.over_budget()) {
            return draft.dispatch(EP_OP_EVAL);
        }
    }
    return on_dirty_scheduler(env, "submit_eval", guarded<eval<no_budget>>, argc, argv);
}

// Context, Ref, Code, Env, Flags
ERL_NIF_TERM exec(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    Draft draft{
        env,      get_resource<Context>(env, argv[0], core().types.context), argv[1], argv[3], get_flags(env, argv[4]),
        no_budget};
    draft.code(argv[2]);
    return draft.dispatch(EP_OP_EXEC);
}

uint32_t object_operation(ErlNifEnv *env, ERL_NIF_TERM term) {
    if (term == enif_make_atom(env, "method")) {
        return EP_OP_METHOD;
    }
    if (term == enif_make_atom(env, "getattr")) {
        return EP_OP_GETATTR;
    }
    if (term == enif_make_atom(env, "value")) {
        return EP_OP_VALUE;
    }
    throw BadArgument{};
}

// Ref, Operation, Object, Name, Args, Kwargs, Flags
template <uint64_t budget> ERL_NIF_TERM object(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    {
        auto *handle = get_resource<Object>(env, argv[2], core().types.object);
        const uint32_t op = object_operation(env, argv[1]);
        Draft draft{env, handle->context, argv[0], core().atoms.undefined, get_flags(env, argv[6]), budget};
        draft.value(argv[2]);
        draft.name(argv[3]);
        draft.list(argv[4]);
        draft.map(argv[5]);
        if (!draft.over_budget()) {
            return draft.dispatch(op);
        }
    }
    return on_dirty_scheduler(env, "submit_object", guarded<object<no_budget>>, argc, argv);
}

// Context, Ref, Flags
ERL_NIF_TERM noop(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    Draft draft{env,
                get_resource<Context>(env, argv[0], core().types.context),
                argv[1],
                core().atoms.undefined,
                get_flags(env, argv[2]),
                no_budget};
    return draft.dispatch(Request::op_noop);
}

ERL_NIF_TERM overloaded(ErlNifEnv *env) {
    Semaphore &semaphore = core().semaphore;
    return enif_make_tuple3(env, core().atoms.overloaded, enif_make_uint(env, semaphore.current()),
                            enif_make_uint(env, semaphore.max()));
}

} // namespace

Nif submit_call = guarded<call<scheduler_budget>>;
Nif submit_eval = guarded<eval<scheduler_budget>>;
Nif submit_exec = guarded<exec>;
Nif submit_object = guarded<object<scheduler_budget>>;
Nif submit_noop = guarded<noop>;

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

Nif nif_answer = guarded<answer<scheduler_budget>>;

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
    if (kept->env != nullptr) {
        enif_clear_env(kept->env);
    }
    return result;
}

Nif nif_build = guarded<build<largest_built_on_scheduler>>;

} // namespace ep
