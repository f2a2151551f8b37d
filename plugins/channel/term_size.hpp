// How large a term is in the external format, without encoding it.
#pragma once

#include <cstdint>
#include <erl_nif.h>

namespace ep::channel {

struct TermSize {
    uint64_t bytes = 0;    // as byte_size(term_to_binary(Term)) says
    bool pins = false;     // it holds something of its own alive: large binaries, references, funs
    bool too_long = false; // more terms than the budget; the rest was not looked at
    uint64_t visited = 0;
};

// "External Term Format" in the ERTS user's guide. `budget`: how many terms are looked at, some 10 ns each.
TermSize measure(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t budget);

} // namespace ep::channel
