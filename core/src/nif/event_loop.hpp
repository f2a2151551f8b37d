// Files and timers that a process of Erlang, the worker, watches by enif_select; and the queue of what is ready.
#pragma once

#include "../plain/wake_fd.hpp"
#include "loop_file.hpp"

#include <erlang_python/host.h>

#include <atomic>
#include <cstdint>
#include <erl_nif.h>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

// The ABI's opaque type is the class itself.
struct ep_event_loop {};

namespace ep {

// Thrown for what a loop cannot do: there is no worker (not_running), or it was destroyed.
enum class LoopRefusal : uint8_t { no_worker, closed };

struct LoopWaiter;

// The memory is a NIF resource. What users hold is a LoopHandle, and Python an ep_event_loop: with the last of these
// the loop is closed, and not with the last reference to this, which files and the worker have, too. Any thread, where
// nothing else is said. `env` is that of the NIF or of the resource's callback, nullptr on a thread of ours.
class EventLoop : public ep_event_loop {
public:
    static constexpr uint8_t for_timer = 4; // beside the Directions
    struct Ready {
        uint64_t key; // a callback's id, or the file descriptor Python knows the file by
        uint8_t what; // Directions, or for_timer
    };

    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop &) = delete;
    EventLoop &operator=(const EventLoop &) = delete;

    // The worker. A process says that it would be it, and somebody that it is. False: it has not, there is another one,
    // or the loop is closed.
    void join(const ErlNifPid &worker);
    bool set_worker(ErlNifEnv *env, const ErlNifPid &worker);
    // Both at once.
    bool become_worker(ErlNifEnv *env, const ErlNifPid &worker);
    void worker_down(ErlNifEnv *env, const ErlNifPid &worker);
    // Some of what the worker has to do: to arm files, and to let go of them. [in its NIF]
    enum class Work : uint8_t { done, more, over };
    Work work(ErlNifEnv *env);
    // It was told that a file is ready, or that it is time.
    void ready(ErlNifEnv *env, uint64_t id, uint8_t what);

    // Nothing works any more; the worker lets go of the files and ends.
    void close(ErlNifEnv *env);

    // For processes. A file that is reported under a key; gives a reference to it that is the caller's. Throws
    // LoopRefusal and PosixError. [in a NIF]
    LoopFile *add(ErlNifEnv *env, int fd, Direction direction, uint64_t key);
    void remove(ErlNifEnv *env, LoopFile *file);
    // Throws LoopRefusal. The worker is to be told.
    uint64_t add_timer(uint64_t key, ErlNifPid &worker);
    bool remove_timer(uint64_t id, ErlNifPid &worker);
    // How many are ready, when nothing has to be waited for; else makes the process wait. It is sent
    // {py_event_loop, Ref} when something is ready, and when it is to look. Throws LoopRefusal, once also when files and
    // timers were lost with a worker that has a successor by now.
    struct Waiting {
        bool waits;
        size_t ready;
    };
    Waiting wait(ErlNifEnv *env, LoopWaiter *waiter, ERL_NIF_TERM ref);
    bool withdraw(LoopWaiter *waiter); // false: it was sent its message
    size_t count(ErlNifEnv *env);      // throws LoopRefusal
    void wake(ErlNifEnv *env);         // whoever waits, else the next one

    // For Python's selectors. A file is known by the descriptor that Python has for it. 0 or an errno; ESRCH without a
    // worker, EEXIST for one that is watched.
    int open_fd() noexcept; // readable when something is ready, or the worker has ended; -1 with errno
    int watch(int fd, uint8_t directions) noexcept;
    int change(int fd, uint8_t directions) noexcept;
    // The file has been let go of when this returns, unless its worker does not work. Not on a thread of the VM.
    int forget(int fd) noexcept;
    bool has_worker(); // the one it has always had

    // What is ready, at most so many, in the order it became so; each is reported again after the next rearm().
    template <class Each> void take(size_t most, Each each);
    // Has everything armed that was reported before.
    void rearm(ErlNifEnv *env);

private:
    struct Entry {
        LoopFile *file; // a counted reference; nullptr: a timer that is over
        uint64_t key;
        uint8_t wanted;
        uint8_t pending = 0;
        bool listed = false;  // in pending_
        bool unarmed = false; // in unarmed_
        bool failed = false;  // the VM refuses it: reported once, and not armed
    };
    using Entries = std::unordered_map<uint64_t, Entry>;
    struct Task {
        uint64_t id;    // of a file to be armed,
        LoopFile *file; // or a counted reference to one to be closed
    };
    using Timers = std::unordered_map<uint64_t, uint64_t>;
    enum class State : uint8_t { none, runs, died };

    // With mutex_.
    Entry &insert(ErlNifEnv *env, LoopFile *file, uint64_t key, uint8_t directions);
    LoopFile *erase(Entries::iterator entry);
    void push(ErlNifEnv *env, uint64_t id, Entry &entry, uint8_t what);
    void mask(Entry &entry, uint8_t wanted);
    void disarm(uint64_t id, Entry &entry);
    bool engage(ErlNifEnv *env, const ErlNifPid &worker);
    void forsake();
    void lose(ErlNifEnv *env);
    void failed(ErlNifEnv *env, uint64_t id, uint8_t directions);
    void tell(ErlNifEnv *env);
    void announce(ErlNifEnv *env);
    void check() const;
    void check_worker();
    bool next(Task &task, uint8_t &directions, ErlNifPid &worker, Work &otherwise);

    std::mutex mutex_;
    State state_ = State::none;               // guarded by mutex_, as all that follows
    bool closed_ = false;                     //
    bool told_ = false;                       // a message to the worker is on its way
    bool woken_ = false;                      //
    bool lost_ = false;                       // a worker has ended, which nobody was told yet
    bool late_ = false;                       // the worker has not done in time what it was told
    ErlNifPid worker_{};                      // while it runs
    ErlNifPid candidate_{};                   // what has joined last
    Entries entries_;                         // by id
    Timers timers_;                           // by id, those that are not over
    std::unordered_map<int, uint64_t> by_fd_; // those of Python
    std::vector<uint64_t> pending_;           // in order; what is not pending any more is left out when it is taken
    size_t ready_ = 0;                        // how many are pending
    std::vector<uint64_t> unarmed_;           // reported, and to be armed by rearm()
    std::vector<Task> tasks_;                 // the worker's
    size_t next_task_ = 0;                    //
    std::vector<LoopWaiter *> waiters_;       // who leave when they are destroyed
    std::unique_ptr<WakeFd> wake_fd_;         //
};

// What a process has of a loop.
struct LoopHandle {
    EventLoop *loop; // a counted reference
};

// What a process has that waits, so that nothing is left of it when it is killed.
struct LoopWaiter {
    EventLoop *loop; // a counted reference
    ErlNifPid pid;
    ErlNifEnv *message; // guarded by the loop's mutex, as all that follows: what has the reference,
    ERL_NIF_TERM ref;   // while it is listed
    bool listed;
};

// What a process has of a timer.
struct LoopTimer {
    EventLoop *loop; // a counted reference
    uint64_t id;
};

void destroy_event_loop(ErlNifEnv *env, void *resource);
void event_loop_worker_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);
void destroy_loop_handle(ErlNifEnv *env, void *resource);
void destroy_loop_waiter(ErlNifEnv *env, void *resource);
void destroy_loop_timer(ErlNifEnv *env, void *resource);

// A new one, with a reference that is the caller's.
EventLoop *make_event_loop();

// ep_host's functions.
ep_event_loop *loop_new() noexcept;
void loop_release(ep_event_loop *loop) noexcept;
ERL_NIF_TERM loop_term(ErlNifEnv *env, ep_event_loop *loop) noexcept;
void loop_close(ep_event_loop *loop) noexcept;
int32_t loop_fd(ep_event_loop *loop) noexcept;
int32_t loop_watch(ep_event_loop *loop, int32_t fd, uint32_t directions) noexcept;
int32_t loop_change(ep_event_loop *loop, int32_t fd, uint32_t directions) noexcept;
int32_t loop_forget(ep_event_loop *loop, int32_t fd) noexcept;
void loop_rearm(ep_event_loop *loop) noexcept;
int32_t loop_take(ep_event_loop *loop, ep_ready *ready, size_t room) noexcept;

template <class Each> void EventLoop::take(size_t most, Each each) {
    std::lock_guard lock{mutex_};
    if (wake_fd_ != nullptr) {
        wake_fd_->drain();
    }
    size_t i = 0;
    for (; i < pending_.size() && most > 0; ++i) {
        const auto found = entries_.find(pending_[i]);
        if (found == entries_.end()) {
            continue;
        }
        Entry &entry = found->second;
        entry.listed = false;
        if (entry.pending == 0) {
            continue;
        }
        each(Ready{entry.key, entry.pending});
        --most;
        --ready_;
        entry.pending = 0;
        if (entry.file != nullptr) {
            disarm(pending_[i], entry);
        } else {
            entries_.erase(found);
        }
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(i));
    if (wake_fd_ != nullptr && (ready_ > 0 || state_ == State::died || lost_)) {
        wake_fd_->signal();
    }
}

} // namespace ep
