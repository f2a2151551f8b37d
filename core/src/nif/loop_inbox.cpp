#include "loop_inbox.hpp"

#include "callback.hpp"
#include "context.hpp"
#include "core.hpp"

#include <new>
#include <utility>

namespace ep {

namespace {

LoopInbox *get_inbox(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *resource = nullptr;
    return enif_get_resource(env, term, core().types.loop_inbox, &resource) ? static_cast<LoopInbox *>(resource)
                                                                            : nullptr;
}

} // namespace

void LoopInbox::close() noexcept {
    Message *left = nullptr;
    {
        std::lock_guard lock{mutex_};
        closed_ = true;
        left = std::exchange(first_, nullptr);
        wake_.close();
    }
    while (left != nullptr) {
        recycle(static_cast<Reply *>(std::exchange(left, left->next)));
    }
}

bool LoopInbox::post(Reply *reply) noexcept {
    {
        std::lock_guard lock{mutex_};
        if (!closed_) {
            reply->next = nullptr;
            (first_ == nullptr ? first_ : last_->next) = reply;
            last_ = reply;
            if (!std::exchange(readable_, true)) {
                wake_.signal();
            }
            return true;
        }
    }
    recycle(reply);
    return false;
}

Reply *LoopInbox::take() noexcept {
    std::lock_guard lock{mutex_};
    Message *message = first_;
    if (message != nullptr) {
        first_ = message->next;
        taking_ = true;
    } else if (!std::exchange(taking_, false) && std::exchange(readable_, false)) {
        wake_.drain();
    }
    return static_cast<Reply *>(message);
}

void LoopInbox::put_back(Reply *reply) noexcept {
    {
        std::lock_guard lock{mutex_};
        if (!closed_) {
            last_ = first_ == nullptr ? reply : last_;
            reply->next = std::exchange(first_, reply);
            return; // it is readable still
        }
    }
    recycle(reply);
}

ERL_NIF_TERM make_loop_inbox(ErlNifEnv *env, int32_t *fd) {
    auto *inbox = new (enif_alloc_resource(core().types.loop_inbox, sizeof(LoopInbox))) LoopInbox;
    Counters::add(core().counters.loop_inboxes, 1);
    ERL_NIF_TERM term = 0;
    if (inbox->open()) {
        *fd = inbox->fd();
        term = enif_make_resource(env, inbox);
    }
    enif_release_resource(inbox);
    return term;
}

ep_status call_async(ep_context *context, ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, ERL_NIF_TERM inbox,
                     uint64_t number) {
    LoopInbox *target = get_inbox(env, inbox);
    bool sent = false;
    if (target != nullptr) {
        ERL_NIF_TERM for_whom =
            context != nullptr ? static_cast<Context *>(context)->for_whom(env) : core().atoms.undefined;
        ERL_NIF_TERM callback = make_callback(env, target, number);
        sent = core().runners.run(env, enif_make_tuple5(env, core().atoms.callback, callback, name, args, for_whom));
    }
    give_env(env);
    return target == nullptr ? EP_WRONG_KIND : sent ? EP_OK : EP_NOT_RUNNING;
}

void close_loop_inbox(ErlNifEnv *env, ERL_NIF_TERM inbox) {
    if (LoopInbox *target = get_inbox(env, inbox)) {
        target->close();
    }
}

int32_t take_answer(ErlNifEnv *env, ERL_NIF_TERM inbox, uint64_t *number, ep_answer *answer) {
    *answer = {};
    LoopInbox *source = get_inbox(env, inbox);
    Reply *reply = source != nullptr ? source->take() : nullptr;
    if (reply == nullptr) {
        return 0;
    }
    *number = reply->frame;
    answer->status = reply->status;
    answer->value = reply->flat.view();
    answer->owner = reply;
    return 1;
}

void put_back_answer(ErlNifEnv *env, ERL_NIF_TERM inbox, ep_answer *answer) {
    if (LoopInbox *target = get_inbox(env, inbox)) {
        target->put_back(static_cast<Reply *>(std::exchange(answer->owner, nullptr)));
    }
}

void destroy_loop_inbox(ErlNifEnv *, void *resource) {
    static_cast<LoopInbox *>(resource)->~LoopInbox();
    Counters::add(core().counters.loop_inboxes, -1);
}

} // namespace ep
