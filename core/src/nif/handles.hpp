// What Erlang holds of Python: environments (`Space`), objects, and memory that binaries look at (`Lent`). All are
// resources that know a slot number of their context and no pointer into Python; their destructors post that number to
// the context's inbox.
#pragma once

#include <erlang_python/host.h>

#include <cstdint>

namespace ep {

class Context;

struct Space {
    Context *context; // a counted reference
    uint64_t slot;    // 0 until first used; touched by the context's thread only, and by the destructor
};

struct Object {
    Context *context; // a counted reference
    uint64_t interpreter;
    uint64_t slot;
};

// Unlike the others it outlives its context.
struct Lent {
    Context *context; // a counted reference
    uint64_t interpreter;
    uint64_t slot;
};

ERL_NIF_TERM make_space(ErlNifEnv *env, Context *context);
ERL_NIF_TERM make_object(ErlNifEnv *env, Context *context, uint64_t interpreter, uint64_t slot);
ERL_NIF_TERM lend(ErlNifEnv *env, ep_context *context, uint64_t interpreter, uint64_t slot, ep_slice data);
bool is_object(ErlNifEnv *env, ERL_NIF_TERM term);

void destroy_space(ErlNifEnv *env, void *resource);
void destroy_object(ErlNifEnv *env, void *resource);
void destroy_lent(ErlNifEnv *env, void *resource);

} // namespace ep
