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

void recycle_all(Message *message) {
    while (message != nullptr) {
        recycle(static_cast<Reply *>(std::exchange(message, message->next)));
    }
}

} // namespace

LoopInbox::~LoopInbox() {
    recycle_all(left_);
    recycle_all(inbox_.close());
}

bool LoopInbox::open() noexcept {
    return wake_.open() && inbox_.begin_poll(wake_);
}

void LoopInbox::post(Reply *reply) noexcept {
    inbox_.push(reply); // open as long as anybody has it
}

Reply *LoopInbox::take() noexcept {
    std::lock_guard lock{mutex_};
    if (left_ == nullptr && std::exchange(taking_, false)) {
        return nullptr;
    }
    while (left_ == nullptr && (left_ = inbox_.take()) == nullptr) {
        wake_.drain();
        if (inbox_.begin_poll(wake_)) {
            return nullptr;
        }
        wake_.signal(); // one has come in between
    }
    taking_ = true;
    return static_cast<Reply *>(std::exchange(left_, left_->next));
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

void destroy_loop_inbox(ErlNifEnv *, void *resource) {
    static_cast<LoopInbox *>(resource)->~LoopInbox();
    Counters::add(core().counters.loop_inboxes, -1);
}

} // namespace ep
