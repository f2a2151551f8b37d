#include "waker.hpp"

#include "../plain/spin.hpp"
#include "context.hpp"
#include "core.hpp"
#include "loop_inbox.hpp"

#include <new>
#include <utility>

namespace ep {

Waker::Waker() noexcept {
    Counters::add(core().counters.wakers, 1);
}

Waker::~Waker() {
    if (env_ != nullptr) {
        enif_free_env(env_);
    }
    if (inbox_ != nullptr) {
        enif_release_resource(inbox_);
    }
    if (context_ != nullptr) {
        enif_release_resource(context_);
    }
    Counters::add(core().counters.wakers, -1);
}

Waker *Waker::for_process(const ErlNifPid &process, ERL_NIF_TERM ref) {
    auto *waker = new Waker;
    waker->process_ = process;
    waker->env_ = enif_alloc_env();
    waker->message_ = enif_make_tuple2(waker->env_, core().atoms.py_wake, enif_make_copy(waker->env_, ref));
    return waker;
}

Waker *Waker::for_thread(Context *context) {
    auto *waker = new Waker;
    waker->context_ = context;
    if (context != nullptr) {
        enif_keep_resource(context);
    }
    return waker;
}

Waker *Waker::for_loop(LoopInbox *inbox, uint64_t number) {
    auto *waker = new Waker;
    waker->inbox_ = inbox;
    waker->number_ = number;
    enif_keep_resource(inbox);
    return waker;
}

void Waker::release() noexcept {
    if (owners_.fetch_sub(1) == 1) {
        delete this;
    }
}

void Waker::keep(void *resource, GivenUp given_up) noexcept {
    enif_keep_resource(resource);
    resource_ = resource;
    given_up_ = given_up;
    owners_.fetch_add(1);
    state_.store(State::kept); // published by the lock of whatever it is put into
}

bool Waker::wake(ErlNifEnv *sender) noexcept {
    State expected = State::kept;
    bool alive = state_.compare_exchange_strong(expected, State::woken);
    if (alive) {
        alive = notify(sender);
    }
    release();
    return alive;
}

bool Waker::notify(ErlNifEnv *sender) noexcept {
    if (env_ != nullptr) {
        return enif_send(sender, &process_, env_, message_) != 0;
    }
    if (inbox_ != nullptr) {
        Reply *reply = take_reply(number_, EP_OK);
        if (reply == nullptr) {
            return false;
        }
        reply->flat.tag(EP_TAG_NONE);
        return inbox_->post(reply);
    }
    if (context_ != nullptr) {
        context_->wake();
    } else {
        parker_.unpark();
    }
    return true;
}

bool Waker::wait(const Parker::Deadline &deadline) noexcept {
    if (spin([this] { return woken(); })) {
        return true;
    }
    while (!woken()) {
        if (deadline && std::chrono::steady_clock::now() >= *deadline) {
            return false;
        }
        parker_.park(deadline);
    }
    return true;
}

void Waker::pass_on() noexcept {
    if (woken() && !std::exchange(passed_on_, true)) {
        given_up_(resource_, this, nullptr);
    }
}

bool Waker::done(bool called_again, ErlNifEnv *sender) noexcept {
    State state = State::kept;
    const bool was_kept = state_.compare_exchange_strong(state, State::over);
    const bool was_woken = !was_kept && state == State::woken;
    if (was_kept || (was_woken && !called_again)) {
        given_up_(resource_, this, sender);
    }
    if (was_kept || was_woken) {
        enif_release_resource(resource_);
    }
    release();
    return was_woken;
}

ERL_NIF_TERM make_waker_handle(ErlNifEnv *env, Waker *waker) {
    auto *handle = new (enif_alloc_resource(core().types.waker, sizeof(WakerHandle))) WakerHandle{waker};
    ERL_NIF_TERM term = enif_make_resource(env, handle);
    enif_release_resource(handle);
    return term;
}

void destroy_waker_handle(ErlNifEnv *env, void *resource) {
    auto *handle = static_cast<WakerHandle *>(resource);
    if (Waker *waker = handle->waker.exchange(nullptr)) {
        waker->done(false, env);
    }
    handle->~WakerHandle();
}

void waker_keep(ep_waker *waker, void *resource, Waker::GivenUp given_up) {
    static_cast<Waker *>(waker)->keep(resource, given_up);
}

int32_t waker_wake(ep_waker *waker, ErlNifEnv *sender) {
    return static_cast<Waker *>(waker)->wake(sender) ? 1 : 0;
}

void waker_drop(ep_waker *waker) {
    static_cast<Waker *>(waker)->drop();
}

ep_waker *waker_new(ep_context *context) {
    return Waker::for_thread(static_cast<Context *>(context));
}

ep_waker *waker_new_for_loop(ErlNifEnv *env, ERL_NIF_TERM inbox, uint64_t number) {
    void *resource = nullptr;
    if (!enif_get_resource(env, inbox, core().types.loop_inbox, &resource)) {
        return nullptr;
    }
    return Waker::for_loop(static_cast<LoopInbox *>(resource), number);
}

ep_status waker_wait(ep_context *context, ep_waker *waker, int64_t nanoseconds) {
    Parker::Deadline deadline;
    if (nanoseconds >= 0) {
        deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds{nanoseconds};
    }
    auto *own = static_cast<Waker *>(waker);
    if (context != nullptr) {
        return static_cast<Context *>(context)->wait_for(*own, deadline);
    }
    return own->wait(deadline) ? EP_OK : EP_PENDING;
}

void waker_done(ep_waker *waker, int32_t called_again, ErlNifEnv *sender) {
    static_cast<Waker *>(waker)->done(called_again != 0, sender);
}

} // namespace ep
