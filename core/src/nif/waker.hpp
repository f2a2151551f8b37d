// Whoever waits for what a plugin has not got yet.
#pragma once

#include "../plain/parker.hpp"

#include <erlang_python/host.h>

#include <atomic>
#include <cstdint>
#include <erl_nif.h>

// The ABI's opaque type is the class itself.
struct ep_waker {};

namespace ep {

class Context;
class LoopInbox;

// For one wait of one waiter: a process, a context's thread, another thread of Python, or a coroutine. It has two owners:
// the waiter, and from keep() on the plugin, until wake() or drop(). Every function: any thread, where nothing else is
// said.
class Waker final : public ep_waker {
public:
    using GivenUp = void (*)(void *resource, ep_waker *waker, ErlNifEnv *sender);

    // The process gets {py_wake, Ref}.
    static Waker *for_process(const ErlNifPid &process, ERL_NIF_TERM ref);
    // nullptr: of the calling thread, which is no context's.
    static Waker *for_thread(Context *context);
    // An answer to `number` without a value comes to the inbox.
    static Waker *for_loop(LoopInbox *inbox, uint64_t number);
    Waker(const Waker &) = delete;
    Waker &operator=(const Waker &) = delete;

    // The plugin's part; see ep_host.
    void keep(void *resource, GivenUp given_up) noexcept;
    bool wake(ErlNifEnv *sender) noexcept;
    void drop() noexcept { release(); }

    // The waiter's part.
    bool woken() const noexcept { return state_.load() == State::woken; }
    // Sleeps until it is woken or the deadline; whether it was. The thread it is for.
    bool wait(const Parker::Deadline &deadline) noexcept;
    // It was woken, perhaps, but its thread cannot go on now: the next one is, too. Its thread.
    void pass_on() noexcept;
    // The wait is over. True: it had been woken before.
    bool done(bool called_again, ErlNifEnv *sender) noexcept;

private:
    enum class State : uint8_t { idle, kept, woken, over };

    Waker() noexcept;
    ~Waker();
    void release() noexcept;
    bool notify(ErlNifEnv *sender) noexcept; // false: the process is dead

    std::atomic<uint32_t> owners_{1};
    std::atomic<State> state_{State::idle};
    void *resource_ = nullptr;   // counted; written by keep(), then the waiter's
    GivenUp given_up_ = nullptr; // the same
    Context *context_ = nullptr; // counted
    LoopInbox *inbox_ = nullptr; // counted
    uint64_t number_ = 0;        // in inbox_
    ErlNifEnv *env_ = nullptr;   // of message_
    ERL_NIF_TERM message_ = 0;   // for process_
    ErlNifPid process_{};
    bool passed_on_ = false; // the waiter's
    Parker parker_;
};

// What a process that waits holds. When it is killed, or forgets it, the wait is over.
struct WakerHandle {
    std::atomic<Waker *> waker;
};

ERL_NIF_TERM make_waker_handle(ErlNifEnv *env, Waker *waker);
void destroy_waker_handle(ErlNifEnv *env, void *resource);

// Those of ep_host.
void waker_keep(ep_waker *waker, void *resource, Waker::GivenUp given_up);
int32_t waker_wake(ep_waker *waker, ErlNifEnv *sender);
void waker_drop(ep_waker *waker);
ep_waker *waker_new(ep_context *context);
ep_waker *waker_new_for_loop(ErlNifEnv *env, ERL_NIF_TERM inbox, uint64_t number);
ep_status waker_wait(ep_context *context, ep_waker *waker, int64_t nanoseconds);
void waker_done(ep_waker *waker, int32_t called_again, ErlNifEnv *sender);

} // namespace ep
