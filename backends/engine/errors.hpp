// Python exceptions as Erlang's error reasons.
#pragma once

#include "engine.hpp"

namespace ep {

// {error, {Name, Message}} of the exception that is set, or {error, interrupted}; it is cleared.
ERL_NIF_TERM take_error(ErlNifEnv *env, Interpreter &interpreter);

// {error, Reason} of an exception that is not set.
ERL_NIF_TERM error_of(ErlNifEnv *env, Interpreter &interpreter, PyObject *exception);

} // namespace ep
