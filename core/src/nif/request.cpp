#include "request.hpp"

#include "context.hpp"
#include "core.hpp"
#include "handles.hpp"

namespace ep {

namespace {

constexpr int index_bits = 22;                                // as many as the pool can have
constexpr uint64_t generation_mask = (uint64_t{1} << 36) - 1; // so that a handle is a small integer to the VM

// Tens of thousands of requests in line have taken memory that nobody needs once they are over.
void note_load(uint64_t live) {
    constexpr uint64_t crowd = 4096;
    std::atomic<bool> &crowded = core().crowded;
    if (live >= crowd) {
        crowded.store(true, std::memory_order_relaxed);
    } else if (live < crowd / 64 && crowded.load(std::memory_order_relaxed) && crowded.exchange(false)) {
        core().runtime.tidy();
    }
}

} // namespace

bool request_granted(Semaphore::Waiter *waiter, void *environment) {
    auto *request = &static_cast<Request &>(*waiter); // never null, which the compiler must not think
    Context *context = request->context;
    enif_keep_resource(context); // the request may be over, and its reference gone, before post() returns
    request->has_slot.store(true);
    bool taken = context->post(request);
    if (!taken) {
        // If it was cancelled meanwhile its slot has been given back already; else the semaphore hands it on.
        taken = !request->has_slot.exchange(false);
        answer_stopped(request, static_cast<ErlNifEnv *>(environment));
    }
    enif_release_resource(context);
    return taken;
}

void Parcel::empty(uint32_t index) {
    // The first ones are used all the time, and large blocks cost the system's memory calls in a BEAM (it tells malloc
    // to map and unmap each); a burst of many must not keep what it needed.
    flat.clear(index < 8 ? 256 * 1024 : index < 64 ? 16 * 1024 : 1024);
    ErlNifEnv *env = flat.used_env();
    if (env == nullptr) {
        return;
    }
    if (index < 1024) {
        enif_clear_env(env);
    } else {
        enif_free_env(env);
        flat.use_env(nullptr);
    }
}

uint64_t Request::handle() const noexcept {
    return (state.generation() & generation_mask) << index_bits | index;
}

Request *take_request(Context *context, Space *space, Task *task) {
    Request *request = core().requests.take();
    if (request == nullptr) {
        return nullptr;
    }
    request->kind = request_message;
    request->granted = request_granted;
    request->ancestor_count = 0;
    request->context = context;
    request->space = space;
    request->task = task;
    request->has_slot = false;
    request->polls = false;
    request->interrupted.store(false, std::memory_order_relaxed); // published by the push
    request->interrupt_again = {};
    if (task != nullptr) {
        enif_keep_resource(task);
    } else {
        enif_keep_resource(context);
    }
    if (space != nullptr) {
        enif_keep_resource(space);
    }
    request->state.begin();
    return request;
}

void release_slot(Request *request, ErlNifEnv *caller) {
    if (request->has_slot.exchange(false)) {
        core().semaphore.release(caller);
    }
}

void recycle(Request *request, ErlNifEnv *caller) {
    release_slot(request, caller);
    Context *context = request->context;
    Space *space = request->space;
    Task *task = request->task;
    request->state.recycle();
    request->empty(request->index);
    core().requests.give(request);
    note_load(core().requests.live());
    if (space != nullptr) {
        enif_release_resource(space);
    }
    if (task != nullptr) {
        enif_release_resource(task);
    } else {
        enif_release_resource(context);
    }
}

Reply *take_reply(uint64_t frame, ep_status status) {
    Reply *reply = core().replies.take();
    if (reply == nullptr) {
        return nullptr;
    }
    reply->kind = reply_message;
    reply->frame = frame;
    reply->status = status;
    return reply;
}

void recycle(Reply *reply) {
    reply->empty(reply->index);
    core().replies.give(reply);
}

bool dispatch(Request *request, ErlNifEnv *caller) {
    Context *context = request->context;
    const uint64_t generation = request->state.generation();
    const bool takes_slot = (request->flags & Request::takes_no_slot) == 0;
    if (!takes_slot) {
        // Whoever waits for a slot may wait for this context.
    } else if (context->depends_on(request)) {
        // What it depends on has given its slot back, and must not wait for those in line, who wait for it.
        core().semaphore.retake();
    } else if (!core().semaphore.acquire(*request)) {
        // The context may have looked for its requests in the line just before this one was there.
        auto this_one = [&](Semaphore::Waiter &waiter) {
            return &waiter == request && request->state.generation() == generation;
        };
        if (context->stopping() && core().semaphore.withdraw_first(this_one) != nullptr) {
            recycle(request, caller);
            return false;
        }
        return true;
    }
    request->has_slot = takes_slot;
    if (request->context->post(request)) {
        return true;
    }
    recycle(request, caller);
    return false;
}

Request *find_request(uint64_t handle, uint64_t &generation) {
    Request *request = core().requests.at(handle & ((1u << index_bits) - 1));
    if (request == nullptr) {
        return nullptr;
    }
    generation = request->state.generation();
    return (generation & generation_mask) == handle >> index_bits ? request : nullptr;
}

void send_result(Request *request, ErlNifEnv *caller, ErlNifEnv *env, ERL_NIF_TERM result) {
    ERL_NIF_TERM ref = env == request->env() ? request->ref : enif_make_copy(env, request->ref);
    enif_send(caller, &request->caller, env, enif_make_tuple2(env, ref, result));
}

void send_flat(Request *request, ErlNifEnv *env, ERL_NIF_TERM kept) {
    ERL_NIF_TERM ref = env == request->env() ? request->ref : enif_make_copy(env, request->ref);
    enif_send(nullptr, &request->caller, env, enif_make_tuple3(env, ref, core().atoms.flat, kept));
}

void answer_stopped(Request *request, ErlNifEnv *caller) {
    if (request->wants_reply() && request->state.reply()) {
        send_result(request, caller, request->env(), make_error(request->env(), core().atoms.context_stopped));
    }
    if (request->task != nullptr) {
        end_stopped(request->task, caller);
    }
    recycle(request, caller);
}

} // namespace ep
