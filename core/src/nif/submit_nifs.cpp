// NIFs that start requests.
#include "budget.hpp"
#include "draft.hpp"
#include "nifs.hpp"

namespace ep {

namespace {

Context *context_of(ErlNifEnv *env, ERL_NIF_TERM term) {
    return get_resource<Context>(env, term, core().types.context);
}

// Context, Ref, Module, Function, Args, Kwargs, Env, Flags
template <uint64_t budget> ERL_NIF_TERM call(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    {
        Draft draft{env, context_of(env, argv[0]), argv[1], argv[6], get_flags(env, argv[7]), budget};
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
        Draft draft{env, context_of(env, argv[0]), argv[1], argv[4], get_flags(env, argv[5]), budget};
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
    Draft draft{env, context_of(env, argv[0]), argv[1], argv[3], get_flags(env, argv[4]), no_budget};
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
    Draft draft{env, context_of(env, argv[0]), argv[1], core().atoms.undefined, get_flags(env, argv[2]), no_budget};
    return draft.dispatch(Request::op_noop);
}

} // namespace

Nif submit_call = guarded<call<scheduler_budget>>;
Nif submit_eval = guarded<eval<scheduler_budget>>;
Nif submit_exec = guarded<exec>;
Nif submit_object = guarded<object<scheduler_budget>>;
Nif submit_noop = guarded<noop>;

} // namespace ep
