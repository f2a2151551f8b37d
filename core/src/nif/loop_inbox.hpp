// Where an asyncio loop finds the answers of Erlang.
#pragma once

#include "../plain/inbox.hpp"
#include "request.hpp"

#include <erlang_python/host.h>

#include <cstdint>
#include <erl_nif.h>
#include <mutex>

namespace ep {

// An inbox with a file descriptor that is readable while there is something in it: any event loop can watch that. The
// memory is a NIF resource; it lives as long as the loop's Python object or a callback refers to it.
class LoopInbox {
public:
    LoopInbox() = default;
    ~LoopInbox();

    // False, with errno, when there is no file descriptor to be had. Once, before anything else.
    bool open() noexcept;
    int fd() const noexcept { return wake_.fd(); }
    // Any thread.
    void post(Reply *reply) noexcept;
    // The oldest one; nullptr after the last of those that were there at the first. The file descriptor stays readable
    // until there is none at the first: who looks may be interrupted before all are seen to. Any thread.
    Reply *take() noexcept;

private:
    std::mutex mutex_;        // of those who take
    Message *left_ = nullptr; // guarded by mutex_: taken out of inbox_
    bool taking_ = false;     // guarded by mutex_: the last one was not nullptr
    Inbox inbox_;             // its owner: who holds mutex_
    WakeFd wake_;
};

// Those of ep_host.
ERL_NIF_TERM make_loop_inbox(ErlNifEnv *env, int32_t *fd);
ep_status call_async(ep_context *context, ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, ERL_NIF_TERM inbox,
                     uint64_t number);
int32_t take_answer(ErlNifEnv *env, ERL_NIF_TERM inbox, uint64_t *number, ep_answer *answer);

void destroy_loop_inbox(ErlNifEnv *env, void *resource);

} // namespace ep
