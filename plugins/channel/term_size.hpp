// How large a term is in the external format, without encoding it.
#pragma once

#include <cstdint>
#include <erl_nif.h>

namespace ep::channel {

struct TermSize {
    uint64_t bytes = 0;    // as byte_size(term_to_binary(Term)) says
    bool binaries = false; // it has binaries in it, each of which may be a part of a larger one that it keeps alive
    bool pins = false;     // it keeps other things alive: references, funs, bitstrings
    bool too_long = false; // more terms than the budget; the rest was not looked at
    uint64_t visited = 0;
};

// "External Term Format" in the ERTS user's guide. `budget`: how many terms are looked at, some 10 ns each.
TermSize measure(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t budget);

// A copy in `to` whose binaries are copies, too, but for what is nested deeply.
ERL_NIF_TERM copy_with_binaries(ErlNifEnv *to, ErlNifEnv *env, ERL_NIF_TERM term);

} // namespace ep::channel
