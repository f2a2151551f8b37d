// Requests and replies: what travels through inboxes. Both are pooled with their environment and their bytes.
#pragma once

#include "../plain/inbox.hpp"
#include "../plain/request_state.hpp"
#include "../plain/semaphore.hpp"

#include <erlang_python/abi.h>
#include <erlang_python/convert/flat.hpp>

#include <atomic>
#include <chrono>
#include <erl_nif.h>

namespace ep {

class Context;
struct Space;
struct Object;
struct Task;

// Kinds of messages in a context's inbox.
enum MessageKind : uint32_t { request_message, reply_message, wake_message };

// Values in flight, and the environment for what of them are terms.
struct Parcel {
    FlatWriter flat;

    // Made at the first use, cleared between uses.
    ErlNifEnv *env() { return flat.env(); }
    // The higher the index in its pool, the less memory is kept.
    void empty(uint32_t index);
};

// One piece of work for a context. Filled in by the submitting process, then owned in turn by the semaphore's line, an
// inbox, and the context's thread. Only `state` may be touched by others, and `interrupted` while cancelling.
struct Request final : Message, Semaphore::Waiter, Parcel {
    static constexpr uint32_t callbacks_elsewhere = 4; // flags beside the ABI's
    static constexpr uint32_t takes_no_slot = 8;       // of the semaphore: part of the start of a context
    static constexpr uint32_t part_of_task = 16;       // what it does is for the caller, though it gets no answer
    static constexpr uint32_t op_noop = 0;             // beside the ABI's operations: answered by the core itself

    uint32_t index = 0; // the pool's
    RequestState state;
    uint32_t op = op_noop;
    uint32_t flags = 0;
    ErlNifPid caller{};
    static constexpr uint32_t most_ancestors = 8;
    ErlNifPid ancestors[most_ancestors]{}; // processes that started the caller, as far as it said
    uint32_t ancestor_count = 0;
    ERL_NIF_TERM ref = 0;              // lives in env()
    Context *context = nullptr;        // a counted reference, unless `task` has one
    Space *space = nullptr;            // a counted reference, or nullptr for the context's own namespace
    Task *task = nullptr;              // a counted reference: who wants the result of EP_OP_TASK, if anybody
    std::atomic<bool> has_slot{false}; // of the semaphore; whoever clears it gives it back
    std::atomic<bool> interrupted{false};
    std::chrono::steady_clock::time_point interrupt_again{}; // guarded by the context's queue_mutex_ while it runs
    ErlNifEnv *out = nullptr;    // where the backend built the result: env(), or another that the thread has
    ERL_NIF_TERM result = 0;     // written by the backend
    bool polls = false;          // it runs an event loop; written by the context's thread, with its queue_mutex_
    bool result_is_flat = false; // result is a KeptFlat: the caller builds {ok, Value}

    // Nothing but `ref` and small terms is in env(): the answer may be built there and leave with it.
    bool reply_in_place() const noexcept { return flat.view().term_count == 0; }
    uint64_t handle() const noexcept;
    bool wants_reply() const noexcept { return (flags & 2u) == 0; }
    bool ends_with_caller() const noexcept { return wants_reply() || (flags & part_of_task) != 0; }
};

// The answer to a callback, on its way to the context thread that waits for it.
struct Reply final : Message, Parcel {
    uint32_t index = 0; // the pool's
    uint64_t frame = 0; // which wait it ends
    ep_status status = EP_OK;
};

// What the semaphore calls for a request.
bool request_granted(Semaphore::Waiter *waiter, void *environment);

// From the pool, empty and open; nullptr when it is exhausted. `context` and `space` are kept until recycle().
Request *take_request(Context *context, Space *space, Task *task);
// Gives everything back: the slot, the references, the memory. `caller` as for HostProcess.
void recycle(Request *request, ErlNifEnv *caller);
// Gives only the slot back.
void release_slot(Request *request, ErlNifEnv *caller);

Reply *take_reply(uint64_t frame, ep_status status);
void recycle(Reply *reply);

// Queues the request for its context, by way of the semaphore's line if need be. Whatever comes, the request has been
// given away; false when the context is stopping, and then it has been recycled.
bool dispatch(Request *request, ErlNifEnv *caller);

// The request a handle names, if it is still the same.
Request *find_request(uint64_t handle, uint64_t &generation);

// Sends {Ref, result} for a request whose reply() edge the caller of this has won. `result` lives in `env`.
void send_result(Request *request, ErlNifEnv *caller, ErlNifEnv *env, ERL_NIF_TERM result);

// The same for a result the caller makes itself: {Ref, flat, KeptFlat}.
void send_flat(Request *request, ErlNifEnv *env, ERL_NIF_TERM kept);

// Answers a request that will not run, and recycles it.
void answer_stopped(Request *request, ErlNifEnv *caller);

} // namespace ep
