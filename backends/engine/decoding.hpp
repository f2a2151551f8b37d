// Terms into Python objects, on a thread that has the interpreter.
#pragma once

#include "engine.hpp"

namespace ep {

// Raises a ValueError for what has no form, an improper list.
py::Ref decode(ErlNifEnv *env, Interpreter &interpreter, ERL_NIF_TERM term);
// The same for one that must not fail: what has no form is an erlang.Term.
py::Ref decode_any(ErlNifEnv *env, Interpreter &interpreter, ERL_NIF_TERM term);

} // namespace ep
