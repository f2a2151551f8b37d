#include "event_loop.hpp"

#include "../plain/detached_thread.hpp"
#include "callback.hpp"
#include "core.hpp"
#include "posix_error.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <utility>

namespace ep {

namespace {

// How much the worker does in one NIF: a task takes about a microsecond.
constexpr int tasks_at_once = 64;
// A queue that is shorter is not gone through for what has been removed.
constexpr size_t fewest_stale = 64;
// So many timers are freed at once on a scheduler: more take too long.
constexpr size_t freed_here = 500;
// How long Python waits for a worker to let go of a file. It takes microseconds, unless somebody has suspended it.
constexpr std::chrono::milliseconds patience{500};

template <class Map> void *free_map(void *map) {
    delete static_cast<Map *>(map);
    return nullptr;
}

// Frees it on a thread of its own where that takes long.
template <class Map> void discard(Map &map) {
    if (map.size() <= freed_here) {
        map.clear();
        return;
    }
    auto moved = std::make_unique<Map>(std::exchange(map, {}));
    if (start_detached(free_map<Map>, moved.get()) == 0) {
        moved.release();
    }
}

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
// The worker

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
// For processes

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

// ---------------------------------------------------------------------------------------------------------------------
// For Python

int EventLoop::open_fd() noexcept {
    std::lock_guard lock{mutex_};
    if (wake_fd_ == nullptr && !closed_) {
        wake_fd_ = std::make_unique<WakeFd>();
    }
    if (wake_fd_ == nullptr) {
        errno = EBADF;
        return -1;
    }
    return wake_fd_->open() ? wake_fd_->fd() : -1;
}

int EventLoop::watch(int fd, uint8_t directions) noexcept {
    try {
        LoopFile *file = LoopFile::make(this, core().next_unique.fetch_add(1), fd);
        int error = 0;
        try {
            std::lock_guard lock{mutex_};
            if (const auto known = by_fd_.find(fd); known != by_fd_.end() && entries_.count(known->second) > 0) {
                throw PosixError{EEXIST};
            }
            disarm(file->id(), insert(nullptr, file, static_cast<uint64_t>(fd), directions));
            by_fd_[fd] = file->id();
        } catch (LoopRefusal) {
            error = ESRCH;
        } catch (const PosixError &refused) {
            error = refused.number;
        }
        enif_release_resource(file);
        return error;
    } catch (const PosixError &error) {
        return error.number;
    } catch (const std::bad_alloc &) {
        return ENOMEM;
    }
}

int EventLoop::change(int fd, uint8_t directions) noexcept {
    std::lock_guard lock{mutex_};
    const auto known = by_fd_.find(fd);
    const auto found = known != by_fd_.end() ? entries_.find(known->second) : entries_.end();
    if (found == entries_.end()) {
        return ESRCH; // its worker has ended
    }
    mask(found->second, directions);
    found->second.failed = false;
    disarm(known->second, found->second);
    return 0;
}

int EventLoop::forget(int fd) noexcept {
    LoopFile *file = nullptr;
    bool waits = true;
    {
        std::lock_guard lock{mutex_};
        const auto known = by_fd_.find(fd);
        if (known == by_fd_.end()) {
            return ESRCH;
        }
        const auto found = entries_.find(known->second);
        by_fd_.erase(known);
        if (found == entries_.end()) {
            return 0;
        }
        file = erase(found);
        if (!file->close_unarmed() && state_ == State::runs) { // else it closes itself
            enif_keep_resource(file);
            tasks_.push_back({0, file});
            tell(nullptr);
        }
        waits = !late_;
    }
    // One wait is enough for a worker that is suspended: the others do theirs later, too.
    if (waits && !file->wait_closed(patience)) {
        std::lock_guard lock{mutex_};
        late_ = state_ == State::runs && told_;
    }
    enif_release_resource(file);
    return 0;
}

bool EventLoop::has_worker() {
    std::lock_guard lock{mutex_};
    return state_ == State::runs && !lost_;
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
