#include "event_loop.hpp"

#include "../plain/discard.hpp"
#include "callback.hpp"
#include "core.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace ep {

namespace {

// A queue that is shorter is not gone through for what has been removed.
constexpr size_t fewest_stale = 64;

} // namespace

EventLoop *make_event_loop() {
    return new (enif_alloc_resource(core().types.event_loop, sizeof(EventLoop))) EventLoop;
}

static_assert(alignof(EventLoop) <= alignof(void *), "memory of resources has no greater alignment");

EventLoop::EventLoop() {
    Counters::add(core().counters.event_loops, 1);
}

// There are no files any more, since each has a reference to it.
EventLoop::~EventLoop() {
    discard(entries_);
    discard(timers_);
}

// ---------------------------------------------------------------------------------------------------------------------
// What is ready

void EventLoop::push(ErlNifEnv *env, uint64_t id, Entry &entry, uint8_t what) {
    if (what == 0) {
        return;
    }
    const bool was = std::exchange(entry.pending, static_cast<uint8_t>(entry.pending | what)) != 0;
    if (!std::exchange(entry.listed, true)) {
        pending_.push_back(id);
    }
    if (!was && ready_++ == 0) {
        announce(env);
    }
}

// Somebody may be waiting.
void EventLoop::announce(ErlNifEnv *env) {
    for (LoopWaiter *waiter : std::exchange(waiters_, {})) {
        waiter->listed = false;
        ErlNifEnv *message = std::exchange(waiter->message, nullptr);
        enif_send(env, &waiter->pid, message, enif_make_tuple2(message, core().atoms.py_event_loop, waiter->ref));
        give_env(message);
    }
    if (wake_fd_ != nullptr) {
        wake_fd_->signal();
    }
}

void EventLoop::mask(Entry &entry, uint8_t wanted) {
    entry.wanted = wanted;
    const bool was = entry.pending != 0;
    entry.pending &= wanted;
    if (was && entry.pending == 0) {
        --ready_;
    }
}

// Gives the entry's reference to its file away.
LoopFile *EventLoop::erase(Entries::iterator entry) {
    mask(entry->second, 0);
    LoopFile *file = entry->second.file;
    entries_.erase(entry);
    for (std::vector<uint64_t> *ids : {&pending_, &unarmed_}) {
        if (ids->size() > std::max(fewest_stale, 2 * entries_.size())) {
            const auto gone = [this](uint64_t id) { return entries_.count(id) == 0; };
            ids->erase(std::remove_if(ids->begin(), ids->end(), gone), ids->end());
        }
    }
    return file;
}

// It is to be armed by rearm().
void EventLoop::disarm(uint64_t id, Entry &entry) {
    if (!entry.failed && !std::exchange(entry.unarmed, true)) {
        unarmed_.push_back(id);
    }
}

void EventLoop::rearm(ErlNifEnv *env) {
    std::lock_guard lock{mutex_};
    for (const uint64_t id : unarmed_) {
        const auto found = entries_.find(id);
        if (found != entries_.end()) {
            found->second.unarmed = false;
            tasks_.push_back({id, nullptr});
        }
    }
    if (!std::exchange(unarmed_, {}).empty()) {
        tell(env);
    }
}

void EventLoop::close(ErlNifEnv *env) {
    std::lock_guard lock{mutex_};
    if (std::exchange(closed_, true)) {
        return;
    }
    tell(env);
    announce(env);
    // A reference to it may linger as garbage of some process; what it has must not.
    wake_fd_.reset();
    discard(timers_);
    pending_ = {};
    unarmed_ = {};
    Counters::add(core().counters.event_loops, -1);
}

// ---------------------------------------------------------------------------------------------------------------------
// The ends

void destroy_event_loop(ErlNifEnv *, void *resource) {
    static_cast<EventLoop *>(resource)->~EventLoop();
}

void event_loop_worker_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *) {
    static_cast<EventLoop *>(resource)->worker_down(env, *pid);
}

void destroy_loop_handle(ErlNifEnv *env, void *resource) {
    auto *handle = static_cast<LoopHandle *>(resource);
    handle->loop->close(env);
    enif_release_resource(handle->loop);
}

void destroy_loop_waiter(ErlNifEnv *, void *resource) {
    auto *waiter = static_cast<LoopWaiter *>(resource);
    waiter->loop->withdraw(waiter);
    enif_release_resource(waiter->loop);
}

void destroy_loop_timer(ErlNifEnv *, void *resource) {
    enif_release_resource(static_cast<LoopTimer *>(resource)->loop);
}

} // namespace ep
