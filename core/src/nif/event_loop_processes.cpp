// Event loops that are run in Erlang.
#include "event_loop.hpp"

#include "callback.hpp"
#include "core.hpp"
#include "posix_error.hpp"

#include <cerrno>
#include <new>
#include <utility>

namespace ep {

void EventLoop::check() const {
    if (closed_) {
        throw LoopRefusal::closed;
    }
}

void EventLoop::check_worker() {
    const bool lost = std::exchange(lost_, false);
    if (lost || (state_ == State::died && ready_ == 0)) {
        throw LoopRefusal::no_worker;
    }
}

EventLoop::Entry &EventLoop::insert(ErlNifEnv *env, LoopFile *file, uint64_t key, uint8_t directions) {
    check();
    if (state_ != State::runs || !file->watch(env, worker_)) {
        throw LoopRefusal::no_worker;
    }
    enif_keep_resource(file);
    return entries_.emplace(file->id(), Entry{file, key, directions}).first->second;
}

LoopFile *EventLoop::add(ErlNifEnv *env, int fd, Direction direction, uint64_t key) {
    LoopFile *file = LoopFile::make(this, core().next_unique.fetch_add(1), fd);
    ErlNifPid worker;
    try {
        std::lock_guard lock{mutex_};
        insert(env, file, key, direction);
        worker = worker_;
    } catch (...) {
        enif_release_resource(file);
        throw;
    }
    const LoopFile::Armed armed = file->arm(env, worker, direction);
    if (armed != LoopFile::Armed::ok) {
        remove(env, file);
        enif_release_resource(file);
        if (armed == LoopFile::Armed::failed) {
            throw PosixError{EINVAL};
        }
        throw LoopRefusal::no_worker;
    }
    return file;
}

void EventLoop::remove(ErlNifEnv *env, LoopFile *file) {
    LoopFile *known = nullptr;
    {
        std::lock_guard lock{mutex_};
        const auto found = entries_.find(file->id());
        if (found != entries_.end()) {
            known = erase(found);
        }
    }
    file->close(env);
    if (known != nullptr) {
        enif_release_resource(known);
    }
}

uint64_t EventLoop::add_timer(uint64_t key, ErlNifPid &worker) {
    std::lock_guard lock{mutex_};
    check();
    if (state_ != State::runs) {
        throw LoopRefusal::no_worker;
    }
    const uint64_t id = core().next_unique.fetch_add(1);
    timers_.emplace(id, key);
    worker = worker_;
    return id;
}

bool EventLoop::remove_timer(uint64_t id, ErlNifPid &worker) {
    std::lock_guard lock{mutex_};
    timers_.erase(id);
    if (const auto found = entries_.find(id); found != entries_.end()) {
        erase(found);
    }
    worker = worker_;
    return state_ == State::runs;
}

EventLoop::Waiting EventLoop::wait(ErlNifEnv *env, LoopWaiter *waiter, ERL_NIF_TERM ref) {
    rearm(env);
    std::lock_guard lock{mutex_};
    check();
    const bool woken = std::exchange(woken_, false);
    if (ready_ == 0 && woken && !lost_) {
        return {false, 0};
    }
    check_worker();
    if (ready_ > 0) {
        return {false, ready_};
    }
    waiters_.push_back(waiter);
    waiter->message = take_env();
    waiter->ref = enif_make_copy(waiter->message, ref);
    waiter->listed = true;
    return {true, 0};
}

bool EventLoop::withdraw(LoopWaiter *waiter) {
    std::lock_guard lock{mutex_};
    if (!std::exchange(waiter->listed, false)) {
        return false;
    }
    waiters_.erase(std::find(waiters_.begin(), waiters_.end(), waiter));
    give_env(std::exchange(waiter->message, nullptr));
    return true;
}

size_t EventLoop::count(ErlNifEnv *env) {
    rearm(env);
    std::lock_guard lock{mutex_};
    check();
    check_worker();
    return ready_;
}

void EventLoop::wake(ErlNifEnv *env) {
    std::lock_guard lock{mutex_};
    check();
    woken_ = waiters_.empty();
    announce(env);
}

} // namespace ep
