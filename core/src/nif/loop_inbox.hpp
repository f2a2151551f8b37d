// Where an asyncio loop finds the answers of Erlang.
#pragma once

#include "../plain/wake_fd.hpp"
#include "request.hpp"

#include <erlang_python/host.h>

#include <cstdint>
#include <erl_nif.h>
#include <mutex>

namespace ep {

// An inbox with a file descriptor that is readable while there is something in it: any event loop can watch that. The
// memory is a NIF resource; it lives as long as the loop's Python object or a callback refers to it. Every function: any
// thread.
class LoopInbox {
public:
    LoopInbox() = default;
    ~LoopInbox() { close(); }

    // False, with errno, when there is no file descriptor to be had. Once, before anything else.
    bool open() noexcept { return wake_.open(); }
    int fd() const noexcept { return wake_.fd(); }
    // Whatever is there and whatever comes is dropped, and the file descriptor is closed.
    void close() noexcept;
    // False: it was closed, and the reply is recycled.
    bool post(Reply *reply) noexcept;
    // The oldest one; nullptr after the last of those that were there. The file descriptor stays readable until there is
    // none at the first: who looks may be interrupted before all are seen to.
    Reply *take() noexcept;
    // Takes one back that could not be seen to.
    void put_back(Reply *reply) noexcept;

private:
    std::mutex mutex_;
    Message *first_ = nullptr; // guarded by mutex_, as all that follows
    Message *last_ = nullptr;
    bool taking_ = false;   // the last one taken was not nullptr
    bool readable_ = false; // the file descriptor is
    bool closed_ = false;
    WakeFd wake_;
};

// Those of ep_host.
ERL_NIF_TERM make_loop_inbox(ErlNifEnv *env, int32_t *fd);
void close_loop_inbox(ErlNifEnv *env, ERL_NIF_TERM inbox);
ep_status call_async(ep_context *context, ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, ERL_NIF_TERM inbox,
                     uint64_t number);
int32_t take_answer(ErlNifEnv *env, ERL_NIF_TERM inbox, uint64_t *number, ep_answer *answer);
void put_back_answer(ErlNifEnv *env, ERL_NIF_TERM inbox, ep_answer *answer);

void destroy_loop_inbox(ErlNifEnv *env, void *resource);

} // namespace ep
