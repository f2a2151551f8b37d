// NIFs that load plugins and call their functions.
#include "arguments.hpp"
#include "nifs.hpp"
#include "plugins.hpp"
#include "waker.hpp"

#include <optional>
#include <string>
#include <vector>

namespace ep {

namespace {

constexpr int most_arguments = 6;

ERL_NIF_TERM missing(ErlNifEnv *env, ERL_NIF_TERM plugin, ERL_NIF_TERM name, int arity) {
    if (core().plugins.is_loaded(plugin)) {
        ERL_NIF_TERM what = enif_make_tuple3(env, plugin, name, enif_make_int(env, arity));
        return enif_raise_exception(env, enif_make_tuple2(env, enif_make_atom(env, "no_plugin_function"), what));
    }
    return make_error(env, enif_make_tuple2(env, enif_make_atom(env, "plugin_not_loaded"), plugin));
}

bool on_scheduler() {
    return enif_thread_type() == ERL_NIF_THR_NORMAL_SCHEDULER;
}

// What a call came to, as a term. nullopt: it is to be made on a dirty scheduler; that cannot be a value of the term, since
// what stands for an exception is 0.
std::optional<ERL_NIF_TERM> outcome(ErlNifEnv *env, ep_status status, ep_call &call) {
    ERL_NIF_TERM result = call.result;
    if (call.owner != nullptr) {
        result = result != 0 ? enif_make_copy(env, result) : 0;
        call.release(call.owner);
    }
    switch (status) {
    case EP_OK: return result == 0 ? core().atoms.ok : enif_make_tuple2(env, core().atoms.ok, result);
    case EP_PENDING: return core().atoms.pending;
    case EP_CLOSED: return make_error(env, core().atoms.closed);
    case EP_WRONG_KIND: return enif_make_badarg(env);
    case EP_TOO_LONG:
        if (on_scheduler()) {
            return std::nullopt;
        }
        [[fallthrough]]; // or it would be called for ever
    default: return make_error(env, result != 0 ? result : enif_make_atom(env, "failed"));
    }
}

std::optional<ERL_NIF_TERM> call_now(ErlNifEnv *env, const ep_function &function, const ERL_NIF_TERM *args,
                                     Waker *waker) {
    ep_call call{};
    call.size = sizeof call;
    call.from = EP_FROM_ERLANG;
    call.env = env;
    call.sender = env;
    call.args = args;
    call.waker = waker;
    const ep_status status = function.body(&call);
    return outcome(env, status, call);
}

int dirty_kind(const ep_function &function) {
    return (function.flags & EP_FUNCTION_DIRTY_IO) != 0 ? ERL_NIF_DIRTY_JOB_IO_BOUND : ERL_NIF_DIRTY_JOB_CPU_BOUND;
}

bool is_dirty(const ep_function &function) {
    return (function.flags & (EP_FUNCTION_DIRTY_CPU | EP_FUNCTION_DIRTY_IO)) != 0;
}

std::optional<std::vector<std::string>> wanted_plugins(ErlNifEnv *env, ERL_NIF_TERM term) {
    if (term == enif_make_atom(env, "all")) {
        return std::nullopt;
    }
    std::vector<std::string> names;
    ERL_NIF_TERM head;
    while (enif_get_list_cell(env, term, &head, &term)) {
        names.push_back(get_binary(env, head));
    }
    if (!enif_is_empty_list(env, term)) {
        throw BadArgument{};
    }
    return names;
}

} // namespace

// (all | [Name]) -> [{Name, Code, Text}], of those that are wanted and cannot be had.
ERL_NIF_TERM nif_load_plugins(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    const auto wanted = wanted_plugins(env, argv[0]);
    std::vector<ERL_NIF_TERM> failures;
    for (const Plugins::Failure &failure : core().plugins.load(env, core().runtime.list().manifests, wanted)) {
        failures.push_back(enif_make_tuple3(env, make_binary(env, failure.name),
                                            enif_make_atom(env, failure.error.code.c_str()),
                                            make_binary(env, failure.error.text)));
    }
    return enif_make_list_from_array(env, failures.data(), static_cast<unsigned>(failures.size()));
}

// (Plugin, Function, Argument...). The hot path of all plugins: no exception can come from here.
ERL_NIF_TERM nif_plugin_call(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    const ep_function *function = core().plugins.find(argv[0], argv[1], static_cast<uint32_t>(argc - 2));
    if (function == nullptr) {
        return missing(env, argv[0], argv[1], argc - 2);
    }
    if (!is_dirty(*function) || !on_scheduler()) {
        if (const auto result = call_now(env, *function, argv + 2, nullptr)) {
            return *result;
        }
    }
    return enif_schedule_nif(env, "plugin_call", dirty_kind(*function), nif_plugin_call, argc, argv);
}

// (Plugin, Function, Arguments, Ref): as plugin_call, but what is pending is {pending, Waker}, and {py_wake, Ref} comes
// when it is worth asking again.
ERL_NIF_TERM nif_plugin_wait(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    ERL_NIF_TERM args[most_arguments];
    int count = 0;
    ERL_NIF_TERM rest = argv[2];
    while (count < most_arguments && enif_get_list_cell(env, rest, &args[count], &rest)) {
        ++count;
    }
    if (!enif_is_empty_list(env, rest) || !enif_is_ref(env, argv[3])) {
        throw BadArgument{};
    }
    const ep_function *function = core().plugins.find(argv[0], argv[1], static_cast<uint32_t>(count));
    if (function == nullptr) {
        return missing(env, argv[0], argv[1], count);
    }
    if (!is_dirty(*function) || !on_scheduler()) {
        ErlNifPid self;
        enif_self(env, &self);
        Waker *waker = Waker::for_process(self, argv[3]);
        const auto result = call_now(env, *function, args, waker);
        if (result == core().atoms.pending) {
            return enif_make_tuple2(env, core().atoms.pending, make_waker_handle(env, waker));
        }
        waker->done(false, env);
        if (result) {
            return *result;
        }
    }
    return enif_schedule_nif(env, "plugin_wait", dirty_kind(*function), guarded<nif_plugin_wait>, argc, argv);
}

// (Waker, CalledAgain) -> whether its message has been sent, or is being.
ERL_NIF_TERM nif_waker_done(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    auto *handle = get_resource<WakerHandle>(env, argv[0], core().types.waker);
    Waker *waker = handle->waker.exchange(nullptr);
    if (waker == nullptr) {
        throw BadArgument{};
    }
    return waker->done(argv[1] == core().atoms.true_, env) ? core().atoms.true_ : core().atoms.false_;
}

} // namespace ep
