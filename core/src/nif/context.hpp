// A context: an OS thread with an interpreter and an inbox.
#pragma once

#include "../plain/inbox.hpp"
#include "request_list.hpp"
#include "task.hpp"

#include <erlang_python/backend.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <erl_nif.h>
#include <mutex>
#include <vector>

// The ABI's opaque type is the class itself.
struct ep_context {};

namespace ep {

class Waker;

// One erlang.call, or another wait of Python code, on the context's stack.
struct Frame {
    uint64_t id;
    Request *request; // whose Python code waits; nullptr for code that no request runs (finalizers)
    bool alone;       // EP_CALL_ALONE, or one below is
    Reply *reply = nullptr;
    bool releasing = false; // what waits is a finalizer; what is served meanwhile is none
    Waker *waker = nullptr; // what it waits for, else it is the reply
    Parker::Deadline deadline{};

    bool is_over() const noexcept;
};

// The memory is a NIF resource. References: terms, the thread while it runs, the table, requests and handles.
class Context : public ep_context {
public:
    using Clock = std::chrono::steady_clock;

    Context(const ep_backend *backend, const ep_open &options, const ErlNifPid &owner, uint64_t id);

    // Starts the thread, which sends {Ref, ready | {error, Reason}} to the owner. [scheduler]
    bool start(ErlNifEnv *env, ERL_NIF_TERM ref);
    // Ends it: answers what waits, interrupts what runs. Returns at once; any number of times. Any thread.
    void stop(ErlNifEnv *caller);

    // False when stopping; the message is still the caller's then. Any thread.
    bool post(Message *message) noexcept { return inbox_.push(message); }
    // A slot whose handle is gone. Any thread.
    void post_release(uint64_t slot);
    // Memory that was lent and that nobody looks at any more. False when the thread is past such things. Any thread.
    bool post_return(uint64_t interpreter, uint64_t slot);
    // Frees what was returned: code that lends in a loop does not come back to the inbox for long.
    // [context-thread][attached]
    void run_returns();
    // Interrupts what runs on top. False when nothing does. Any thread.
    bool interrupt_running();
    // Makes the thread look around: a request that waits for a callback was interrupted. Any thread.
    void wake() noexcept;
    // Asks the interpreter to interrupt a request, if that is the one that runs at this moment; not while it may still be
    // cleaning up after the last time. [python-main]
    void deliver_interrupt(uint64_t serial);
    // The serial of what runs on top, 0 if nothing. Any thread.
    uint64_t running_serial();
    // Whether that request is on the stack of what runs. Any thread.
    bool runs(uint64_t serial);
    // Whether an erlang.call waits. Any thread.
    bool waits() const noexcept { return waits_.load() != 0; }
    // Whether one that waits depends on this request. Any thread.
    bool depends_on(const Request *request) const;

    // What the interpreter has taken. False when it has no limit, or is gone. Any thread.
    bool memory(ep_memory &memory);

    TaskList &tasks() noexcept { return tasks_; }
    uint64_t id() const noexcept { return id_; }
    const ep_backend *backend() const noexcept { return backend_; }
    bool stopping() const noexcept { return inbox_.closed(); }
    bool thread_ended() const noexcept { return ended_.load(); }

    // erlang.call on this context's thread. Fills in the answer. [context-thread][attached]
    void call(ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, uint32_t flags, ep_answer *answer);

    // The same for a waker of this thread: EP_OK when it was woken, EP_PENDING when it was not in time, or why the wait
    // ended. [context-thread][attached]
    ep_status wait_for(Waker &waker, const Parker::Deadline &deadline);

    // The process whose code runs, as a term: what asks Erlang asks for it. [context-thread]
    ERL_NIF_TERM for_whom(ErlNifEnv *env) const noexcept { return for_whom(env, waiting()); }

    // Those of ep_host. [context-thread][attached]
    int poll_fd() noexcept;
    uint32_t poll(ep_sleep sleep, void *argument, int64_t nanoseconds, uint32_t flags);
    void serve_requests(uint32_t flags);

    // Watches a process that is going to make requests. [scheduler]
    void join(ErlNifEnv *env, const ErlNifPid &caller) { enif_monitor_process(env, this, &caller, nullptr); }
    // A process that is watched has ended: the owner, or one that made requests.
    void process_down(ErlNifEnv *env, const ErlNifPid &pid);

private:
    // How many erlang.call may wait on the stack: from the first bound on only those are let in that a wait depends on,
    // at the second a call fails.
    static constexpr size_t crowded_depth = 96;
    static constexpr size_t max_depth = 128;
    // For how long nothing must have moved before a request is refused when it is crowded.
    static constexpr std::chrono::milliseconds crowded_patience{5000};
    // The same before others are let in over one that waits alone: longer than it takes to give a line up.
    static constexpr std::chrono::milliseconds alone_patience{10'000};
    // How many requests are served before others get a chance at the interpreter.
    static constexpr uint32_t attached_bound = 128;
    // How many an event loop serves before its own work goes on, and how many when they are that quick.
    static constexpr uint32_t polled_bound = 64;
    static constexpr uint32_t quick_polled_bound = 512;
    static constexpr std::chrono::microseconds quick_polled_time{500};
    // How many answers of tasks are kept before their memory is used again.
    static constexpr uint32_t most_answers = 64;

    static void *thread_main(void *self);
    ep_interp *run(ErlNifEnv *env, ERL_NIF_TERM ref); // returns what is to be closed; nullptr: nothing
    bool announce(ErlNifEnv *env, ERL_NIF_TERM ref, ERL_NIF_TERM what);
    void finish_thread();

    void receive();
    void deliver(Reply *reply);
    bool run_releases(); // whether there were any
    enum class Admit : uint8_t { all, involved };
    Request *next(Admit admit);
    bool involved(const Request *request) const;  // with queue_mutex_
    Request *find_running(uint64_t serial) const; // with queue_mutex_
    static ERL_NIF_TERM for_whom(ErlNifEnv *env, const Request *request) noexcept;
    bool has_patience(uint64_t serial) const;      // with what it was interrupted for
    Request *waiting() const noexcept;             // whose code is about to wait; nullptr: a finalizer
    Frame make_frame(bool alone = false) noexcept; // for that
    void serve(Request *request);
    void work(Request *request);
    ErlNifEnv *out_for(Request *request);
    void done_with_out(ErlNifEnv *out);
    void forget_answers();
    void finish(Request *request);
    bool park(Request *request, ERL_NIF_TERM failure);
    void send_outcome(Request *request, ErlNifEnv *out, ERL_NIF_TERM failure);
    void drop(Request *request);

    ep_status send_call(ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, const Frame &frame);
    void begin_wait(Frame &frame);
    uint32_t poll(Request *request, ep_sleep sleep, void *argument, int64_t nanoseconds, uint32_t flags);
    bool has_ready(uint32_t flags) const;
    Admit polling_admits(uint32_t flags) const noexcept;
    void end_wait();
    ep_status sleep(Frame &frame);
    void pass_on_wakes() noexcept;
    ep_status wait(Frame &frame);
    Admit admission(Parker::Deadline &deadline) const;
    bool others_wait() const;
    void refuse_one();

    void attach();
    void detach();

    const ep_backend *backend_;
    const ep_open options_;
    const ErlNifPid owner_;
    const uint64_t id_;
    Inbox inbox_;
    WakeFd wake_fd_; // for poll(); closed with the context, which every sender holds
    TaskList tasks_;
    std::atomic<bool> ended_{false};

    mutable std::mutex queue_mutex_;
    RequestList ready_;              // guarded by queue_mutex_: received, not started
    std::vector<Request *> running_; // the stack of what runs, the top last; guarded as interp_ is, by queue_mutex_
    bool stopping_ = false;          // guarded by queue_mutex_

    struct Dependence {
        ErlNifPid process;
        const Request *request; // which it waits for; nullptr: a finalizer
    };

    std::mutex release_mutex_;
    struct Returned {
        uint64_t interpreter;
        uint64_t slot;
    };
    std::vector<uint64_t> released_; // guarded by release_mutex_
    std::vector<Returned> returned_; // guarded by release_mutex_
    bool takes_returns_ = true;      // guarded by release_mutex_
    Message wake_;
    std::atomic<bool> wake_posted_{false};

    std::mutex interp_mutex_;
    ep_interp *interp_ = nullptr; // guarded by interp_mutex_ for other threads; only this thread writes

    std::atomic<uint32_t> waits_{0};      // frames_.size() and the requests that run a loop, for others
    std::vector<Dependence> depended_on_; // guarded by queue_mutex_: for whom the frames wait

    // The thread's own.
    bool serving_ = false; // between the opening and the closing of the interpreter
    bool attached_ = false;
    bool releasing_ = false; // what runs are finalizers of released objects, for no request
    uint32_t served_ = 0;
    uint64_t next_frame_ = 1;
    bool woken_ = false;          // what ended the last sleep of a loop was the inbox, and it may do so again soon
    Clock::time_point last_move_; // when a wait on the stack last got its answer, or a request was served
    std::vector<Frame *> frames_;
    ErlNifEnv *reply_env_ = nullptr;
    ErlNifEnv *task_env_ = nullptr; // for what tasks that follow each other are answered
    bool task_env_busy_ = false;
    uint32_t answers_ = 0; // how many are in task_env_
};

void destroy_context(ErlNifEnv *env, void *resource);
void context_process_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);

} // namespace ep
