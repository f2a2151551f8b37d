// Reading the arguments of a NIF.
#pragma once

#include "core.hpp"

#include <optional>
#include <string>

namespace ep {

// Thrown for an argument of the wrong type; becomes badarg.
struct BadArgument {};

template <class Type> Type *get_resource(ErlNifEnv *env, ERL_NIF_TERM term, ErlNifResourceType *type) {
    void *resource = nullptr;
    if (!enif_get_resource(env, term, type, &resource)) {
        throw BadArgument{};
    }
    return static_cast<Type *>(resource);
}

inline std::string get_binary(ErlNifEnv *env, ERL_NIF_TERM term) {
    ErlNifBinary binary;
    if (!enif_inspect_binary(env, term, &binary)) {
        throw BadArgument{};
    }
    return {reinterpret_cast<const char *>(binary.data), binary.size};
}

inline uint32_t get_flags(ErlNifEnv *env, ERL_NIF_TERM term) {
    unsigned flags = 0;
    if (!enif_get_uint(env, term, &flags)) {
        throw BadArgument{};
    }
    return flags;
}

// The boundary every NIF has: what was thrown inside becomes an exception of Erlang.
template <ERL_NIF_TERM (*function)(ErlNifEnv *, int, const ERL_NIF_TERM[])>
ERL_NIF_TERM guarded(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) noexcept {
    try {
        return function(env, argc, argv);
    } catch (const BadArgument &) {
        return enif_make_badarg(env);
    } catch (const KeyTooLarge &) {
        return enif_make_badarg(env);
    } catch (const std::exception &error) {
        return enif_raise_exception(env, make_binary(env, error.what()));
    }
}

} // namespace ep
