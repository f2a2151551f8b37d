#include "request.hpp"

#include "context.hpp"
#include "core.hpp"
#include "handles.hpp"

namespace ep {

namespace {

constexpr int index_bits = 22; // as many as the pool can have
constexpr uint64_t generation_mask = (uint64_t{1} << 36) - 1; // so that a handle is a small integer to the VM

bool granted(Semaphore::Waiter *waiter, void *environment) {
    auto *request = &static_cast<Request &>(*waiter); // never null, which the compiler must not think
    request->has_slot = true;
    if (request->context->post(request)) {
        return true;
    }
    request->has_slot = false; // the semaphore hands it on
    answer_stopped(request, static_cast<ErlNifEnv *>(environment));
    return false;
}

} // namespace

void Parcel::open() {
    if (env == nullptr) {
        env = enif_alloc_env();
    }
    flat.use_env(env);
}

void Parcel::empty() {
    flat.clear();
    enif_clear_env(env);
}

uint64_t Request::handle() const noexcept {
    return (state.generation() & generation_mask) << index_bits | index;
}

Request *take_request(Context *context, Space *space) {
    Request *request = core().requests.take();
    if (request == nullptr) {
        return nullptr;
    }
    request->open();
    request->kind = request_message;
    request->granted = granted;
    request->context = context;
    request->space = space;
    request->has_slot = false;
    request->interrupted.store(false, std::memory_order_relaxed); // published by the push
    enif_keep_resource(context);
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
    request->state.recycle();
    request->empty();
    core().requests.give(request);
    if (space != nullptr) {
        enif_release_resource(space);
    }
    enif_release_resource(context);
}

Reply *take_reply(uint64_t frame, ep_status status) {
    Reply *reply = core().replies.take();
    if (reply == nullptr) {
        return nullptr;
    }
    reply->open();
    reply->kind = reply_message;
    reply->frame = frame;
    reply->status = status;
    return reply;
}

void recycle(Reply *reply) {
    reply->empty();
    core().replies.give(reply);
}

bool dispatch(Request *request, ErlNifEnv *caller) {
    if (!core().semaphore.acquire(*request)) {
        return true;
    }
    request->has_slot = true;
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
    ERL_NIF_TERM ref = env == request->env ? request->ref : enif_make_copy(env, request->ref);
    enif_send(caller, &request->caller, env, enif_make_tuple2(env, ref, result));
}

void send_flat(Request *request, ErlNifEnv *env, ERL_NIF_TERM kept) {
    ERL_NIF_TERM ref = env == request->env ? request->ref : enif_make_copy(env, request->ref);
    enif_send(nullptr, &request->caller, env, enif_make_tuple3(env, ref, core().atoms.flat, kept));
}

void answer_stopped(Request *request, ErlNifEnv *caller) {
    if (request->wants_reply() && request->state.reply()) {
        send_result(request, caller, request->env, make_error(request->env, core().atoms.context_stopped));
    }
    recycle(request, caller);
}

} // namespace ep
