// Tasks of event loops, as Erlang sees them.
#pragma once

#include <atomic>
#include <cstdint>
#include <erl_nif.h>
#include <erlang_python/host.h>
#include <mutex>

// The ABI's opaque type is the class itself.
struct ep_task {};

namespace ep {

class Context;

// One result that will come: a message to the process that made the task, or nothing once that has given it up. The
// memory is a NIF resource. Until it is over it is in the hands of the request that is to end it, and when that has left
// it open, in the context's list, so that it ends with the context at the latest.
struct Task : ep_task {
    explicit Task(Context *of) noexcept : context(of) {}

    Context *context;    // a counted reference
    ErlNifPid creator{}; // who gets the result
    enum class State : uint8_t { open, ending, over };
    std::atomic<State> state{State::open};
    std::atomic<bool> listed{false}; // may be in the list
    Task *before = nullptr;          // both guarded by TaskList::mutex_
    Task *after = nullptr;

    // Of all who want to end it exactly one does.
    bool end() noexcept {
        State open = State::open;
        return state.compare_exchange_strong(open, State::ending);
    }
    // After that whatever was to be sent is in the creator's mailbox.
    void ended() noexcept { state.store(State::over); }
};

// The open tasks of a context that no request has. They all end with it. Any thread.
class TaskList {
public:
    // One that is over is left out. False when the context is stopping.
    bool add(Task *task);
    // By whoever has ended it, in the list or not.
    void remove(Task *task);
    // Answers all with {error, context_stopped}; no more are added.
    void close(ErlNifEnv *caller);

private:
    std::mutex mutex_;
    Task *first_ = nullptr; // guarded by mutex_
    bool closed_ = false;   // guarded by mutex_
};

// A task of the calling process, in no list. The caller has a reference, as the term has.
Task *make_task(ErlNifEnv *env, Context *context, ERL_NIF_TERM &term);
// Puts one that is open into the list of its context; when that is stopping, ends it with {error, context_stopped}.
void keep_open(Task *task, ErlNifEnv *caller);
// {error, context_stopped}, unless it is over.
void end_stopped(Task *task, ErlNifEnv *caller);
// Nothing will be sent. False: too late.
bool give_up(Task *task);

// Parts of ep_host. `env` is the message's, sent and so cleared.
ep_status task_answer(ErlNifEnv *env, ERL_NIF_TERM task, ERL_NIF_TERM result);
int32_t task_is_open(ErlNifEnv *env, ERL_NIF_TERM task);
ERL_NIF_TERM task_term(ErlNifEnv *env, ep_task *task);
ep_status task_end(ep_task *task, ErlNifEnv *env, ERL_NIF_TERM result);
// The message is a copy, and `env` stays as it is, but for what is added to it.
ep_status task_end_copy(ep_task *task, ErlNifEnv *env, ERL_NIF_TERM result);

void destroy_task(ErlNifEnv *env, void *resource);

} // namespace ep
