// A callback on its way: the reference a process answers erlang.call with.
#pragma once

#include "../plain/parker.hpp"
#include "request.hpp"

#include <erlang_python/host.h>

#include <atomic>
#include <cstdint>
#include <erl_nif.h>

namespace ep {

class Context;
class LoopInbox;

// Where a thread that is no context's waits for its answer. Shared by the thread and the callback, gone with the
// second of them.
class WaitCell {
public:
    // The thread.
    Reply *wait() noexcept;
    // Whoever answers, once. The reply is the cell's from then on.
    void answer(Reply *reply) noexcept;
    void release() noexcept;

private:
    std::atomic<int> owners_{2};
    std::atomic<Reply *> reply_{nullptr};
    Parker parker_;
};

// The memory is a NIF resource. When its last reference is gone and nobody has answered, nobody can: its destructor
// answers then, which is how a killed process ends the wait of its Python code.
struct Callback {
    Context *context; // whose thread waits, a counted reference until let_go(); or nullptr
    WaitCell *cell;   // where another thread waits, or nullptr
    LoopInbox *inbox; // where a loop waits, a counted reference until let_go(); or nullptr
    uint64_t frame;   // in context; the number of the answer in inbox
    uint64_t handle;  // of the request whose caller runs the callback; 0 when a process of its own does
    std::atomic<bool> answered{false};
};

ERL_NIF_TERM make_callback(ErlNifEnv *env, Context *context, uint64_t frame, uint64_t handle);
ERL_NIF_TERM make_callback(ErlNifEnv *env, WaitCell *cell);
ERL_NIF_TERM make_callback(ErlNifEnv *env, LoopInbox *inbox, uint64_t number);
void destroy_callback(ErlNifEnv *env, void *resource);

// Whether nobody has answered it before: then the caller of this does, and calls let_go() when it has.
bool settle(Callback &callback);
// The callback is over. The reference to it may linger as garbage of some process; what it refers to must not.
void let_go(Callback &callback);
// Tells the request that its caller has answered. If that was over already, it is returned, to be recycled, with the
// reason it ended for.
Request *end_call(const Callback &callback, ERL_NIF_TERM &reason);
// Hands a reply to whoever waits; it has been given away.
void deliver(const Callback &callback, Reply *reply);

// ep_host.call, on any thread.
void call_erlang(ep_context *context, ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, uint32_t flags,
                 ep_answer *answer);

// The pool of environments of ep_host.
ErlNifEnv *take_env();
void give_env(ErlNifEnv *env);

} // namespace ep
