#include "callback.hpp"

#include "../plain/spin.hpp"
#include "context.hpp"
#include "core.hpp"
#include "loop_inbox.hpp"

#include <mutex>
#include <new>
#include <utility>

namespace ep {

namespace {

// Environments that are ready for use. As many as threads may well call at once; more are freed.
class EnvPool {
public:
    ErlNifEnv *take() {
        {
            std::lock_guard lock{mutex_};
            if (count_ > 0) {
                return envs_[--count_];
            }
        }
        return enif_alloc_env();
    }
    void give(ErlNifEnv *env) {
        enif_clear_env(env);
        {
            std::lock_guard lock{mutex_};
            if (count_ < capacity) {
                envs_[count_++] = env;
                return;
            }
        }
        enif_free_env(env);
    }

private:
    static constexpr size_t capacity = 32;
    std::mutex mutex_;
    ErlNifEnv *envs_[capacity]{}; // guarded by mutex_
    size_t count_ = 0;            // guarded by mutex_
};

EnvPool &env_pool() {
    static EnvPool *pool = new EnvPool; // lives as long as the VM
    return *pool;
}

ERL_NIF_TERM make_callback(ErlNifEnv *env, Context *context, WaitCell *cell, LoopInbox *inbox, uint64_t frame,
                           uint64_t handle) {
    void *memory = enif_alloc_resource(core().types.callback, sizeof(Callback));
    auto *callback = new (memory) Callback{context, cell, inbox, frame, handle, {}};
    Counters::add(core().counters.callbacks, 1);
    ERL_NIF_TERM term = enif_make_resource(env, callback);
    enif_release_resource(callback);
    return term;
}

} // namespace

ErlNifEnv *take_env() {
    return env_pool().take();
}

void give_env(ErlNifEnv *env) {
    env_pool().give(env);
}

Reply *WaitCell::wait() noexcept {
    if (!spin([this] { return reply_.load() != nullptr; })) {
        while (reply_.load() == nullptr) {
            parker_.park();
        }
    }
    return reply_.load();
}

void WaitCell::answer(Reply *reply) noexcept {
    reply_.store(reply);
    parker_.unpark();
    release();
}

void WaitCell::release() noexcept {
    if (owners_.fetch_sub(1) == 1) {
        delete this;
    }
}

ERL_NIF_TERM make_callback(ErlNifEnv *env, Context *context, uint64_t frame, uint64_t handle) {
    enif_keep_resource(context);
    return make_callback(env, context, nullptr, nullptr, frame, handle);
}

ERL_NIF_TERM make_callback(ErlNifEnv *env, WaitCell *cell) {
    return make_callback(env, nullptr, cell, nullptr, 0, 0);
}

ERL_NIF_TERM make_callback(ErlNifEnv *env, LoopInbox *inbox, uint64_t number) {
    enif_keep_resource(inbox);
    return make_callback(env, nullptr, nullptr, inbox, number, 0);
}

bool settle(Callback &callback) {
    if (callback.answered.exchange(true)) {
        return false;
    }
    Counters::add(core().counters.callbacks, -1);
    return true;
}

void let_go(Callback &callback) {
    if (Context *context = std::exchange(callback.context, nullptr)) {
        enif_release_resource(context);
    }
    if (LoopInbox *inbox = std::exchange(callback.inbox, nullptr)) {
        enif_release_resource(inbox);
    }
}

Request *end_call(const Callback &callback, ERL_NIF_TERM &reason) {
    uint64_t generation = 0;
    Request *request = callback.handle != 0 ? find_request(callback.handle, generation) : nullptr;
    if (request == nullptr || request->state.end_call(generation) || !request->state.parked(generation)) {
        return nullptr;
    }
    reason = request->result;
    return request;
}

void destroy_callback(ErlNifEnv *env, void *resource) {
    auto *callback = static_cast<Callback *>(resource);
    if (settle(*callback)) {
        ERL_NIF_TERM reason = 0;
        if (Request *over = end_call(*callback, reason)) {
            recycle(over, env);
        } else if (Reply *reply = take_reply(callback->frame, EP_NO_ANSWER)) {
            deliver(*callback, reply);
        }
    }
    let_go(*callback);
    callback->~Callback();
}

void deliver(const Callback &callback, Reply *reply) {
    if (callback.cell != nullptr) {
        callback.cell->answer(reply);
    } else if (callback.inbox != nullptr) {
        callback.inbox->post(reply);
    } else if (!callback.context->post(reply)) {
        recycle(reply);
    }
}

void call_erlang(ep_context *context, ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, uint32_t flags,
                 ep_answer *answer) {
    if (context != nullptr) {
        static_cast<Context *>(context)->call(env, name, args, flags, answer);
        return;
    }
    *answer = {};
    auto *cell = new WaitCell;
    ERL_NIF_TERM what =
        enif_make_tuple5(env, core().atoms.callback, make_callback(env, cell), name, args, core().atoms.undefined);
    // When it is not sent, the callback dies with the environment's contents, and so the cell gets its answer anyway.
    bool sent = core().runners.run(env, what);
    give_env(env);
    Reply *reply = cell->wait();
    cell->release();
    answer->status = sent ? reply->status : EP_NOT_RUNNING;
    answer->value = reply->flat.view();
    answer->owner = reply;
}

} // namespace ep
