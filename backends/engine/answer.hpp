// What erlang.call and its asynchronous sister share: how a call is written down, and how its answer is read.
#pragma once

#include "engine.hpp"

namespace ep {

// That something can be the name of a registered function.
void check_name(ModuleState &state, PyObject *name);
ERL_NIF_TERM encode_list(ErlNifEnv *env, Interpreter &interpreter, PyObject *const *args, Py_ssize_t count);

// Gives the answer back to the host in the end.
class Answer {
public:
    explicit Answer(ep_answer &answer) noexcept : answer_(answer) {}
    ~Answer() { engine().host->answer_done(&answer_); }
    Answer(const Answer &) = delete;
    Answer &operator=(const Answer &) = delete;

    bool good() const noexcept { return answer_.status == EP_OK; }
    py::Ref value(Interpreter &interpreter) const;
    // For one that has none. `name` is the function's; nullptr: unknown.
    [[noreturn]] void raise(Interpreter &interpreter, PyObject *name) const;

private:
    ep_answer &answer_;
};

} // namespace ep
