// The process that has the VM watch the files of an event loop, and how it comes and goes.
#include "event_loop.hpp"

#include "../plain/discard.hpp"
#include "core.hpp"

#include <algorithm>
#include <utility>

namespace ep {

namespace {

// How much the worker does in one NIF: a task takes about a microsecond.
constexpr int tasks_at_once = 64;

} // namespace

void EventLoop::join(const ErlNifPid &worker) {
    std::lock_guard lock{mutex_};
    candidate_ = worker;
}

bool EventLoop::set_worker(ErlNifEnv *env, const ErlNifPid &worker) {
    std::lock_guard lock{mutex_};
    return candidate_.pid == worker.pid && engage(env, worker);
}

bool EventLoop::become_worker(ErlNifEnv *env, const ErlNifPid &worker) {
    std::lock_guard lock{mutex_};
    if (!engage(env, worker)) {
        return false;
    }
    candidate_ = worker;
    return true;
}

bool EventLoop::engage(ErlNifEnv *env, const ErlNifPid &worker) {
    if (closed_) {
        return false;
    }
    if (state_ == State::runs && worker_.pid == worker.pid) {
        return true;
    }
    if (state_ == State::runs && enif_is_process_alive(env, &worker_)) {
        return false;
    }
    if (enif_monitor_process(env, this, &worker, nullptr) != 0) {
        return false;
    }
    forsake();
    worker_ = worker;
    if (std::exchange(state_, State::runs) == State::runs) {
        lose(env); // the one before has ended a moment ago
    }
    return true;
}

// What the worker was to do, and the timers it would have told of. Its files see to themselves.
void EventLoop::forsake() {
    told_ = false;
    late_ = false;
    for (; next_task_ < tasks_.size(); ++next_task_) {
        if (LoopFile *file = tasks_[next_task_].file) {
            enif_release_resource(file); // destroyed later, by a thread of the VM
        }
    }
    tasks_.clear();
    next_task_ = 0;
    discard(timers_);
}

// Whoever polls next is told, even if there is another worker by then.
void EventLoop::lose(ErlNifEnv *env) {
    lost_ = true;
    announce(env);
}

void EventLoop::worker_down(ErlNifEnv *env, const ErlNifPid &worker) {
    std::lock_guard lock{mutex_};
    if (state_ == State::runs && worker_.pid == worker.pid) {
        state_ = State::died;
        forsake();
        lose(env);
    }
}

bool EventLoop::next(Task &task, uint8_t &directions, ErlNifPid &worker, Work &otherwise) {
    std::lock_guard lock{mutex_};
    worker = worker_;
    while (next_task_ < tasks_.size()) {
        task = tasks_[next_task_++];
        if (task.file != nullptr) {
            return true;
        }
        const auto found = entries_.find(task.id);
        if (closed_ || found == entries_.end()) {
            continue;
        }
        directions = static_cast<uint8_t>(found->second.wanted & ~found->second.pending);
        task.file = found->second.file;
        enif_keep_resource(task.file);
        return true;
    }
    tasks_.clear();
    next_task_ = 0;
    if (closed_ && !entries_.empty()) {
        task.id = 0;
        task.file = erase(entries_.begin());
        return true;
    }
    told_ = false;
    late_ = false;
    otherwise = closed_ ? Work::over : Work::done;
    return false;
}

EventLoop::Work EventLoop::work(ErlNifEnv *env) {
    for (int i = 0; i < tasks_at_once; ++i) {
        Task task{};
        uint8_t directions = 0;
        ErlNifPid worker;
        Work otherwise{};
        if (!next(task, directions, worker, otherwise)) {
            return otherwise;
        }
        if (task.file == nullptr) {
            continue; // a timer of a closed loop
        }
        if (task.id == 0) {
            task.file->close(env);
        } else if (task.file->arm(env, worker, directions) == LoopFile::Armed::failed) {
            failed(env, task.id, directions);
        }
        enif_release_resource(task.file);
    }
    return Work::more;
}

// Whoever uses it sees what is wrong.
void EventLoop::failed(ErlNifEnv *env, uint64_t id, uint8_t directions) {
    std::lock_guard lock{mutex_};
    const auto found = entries_.find(id);
    if (found != entries_.end() && !closed_) {
        found->second.failed = true;
        push(env, id, found->second, static_cast<uint8_t>(directions & found->second.wanted));
    }
}

void EventLoop::ready(ErlNifEnv *env, uint64_t id, uint8_t what) {
    std::lock_guard lock{mutex_};
    if (closed_) {
        return;
    }
    if (const auto timer = timers_.find(id); timer != timers_.end()) {
        entries_.emplace(id, Entry{nullptr, timer->second, for_timer});
        timers_.erase(timer);
    }
    const auto found = entries_.find(id);
    if (found == entries_.end()) {
        return; // it was on its way when the file, or the timer, was removed
    }
    Entry &entry = found->second;
    if (entry.file != nullptr) {
        entry.file->fired(what);
    }
    push(env, id, entry, static_cast<uint8_t>(what & entry.wanted));
}

// The worker looks for itself what there is to do.
void EventLoop::tell(ErlNifEnv *env) {
    if (state_ == State::runs && !told_) {
        told_ = enif_send(env, &worker_, nullptr, core().atoms.py_event_loop_work) != 0;
    }
}

} // namespace ep
