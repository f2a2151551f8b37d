#include "loop_file.hpp"

#include "../plain/detached_thread.hpp"
#include "../plain/spin.hpp"
#include "core.hpp"
#include "event_loop.hpp"
#include "posix_error.hpp"

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <new>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ep {

namespace {

// Closing the last descriptor of a socket whose owner wants it to linger waits for the peer, and that of a terminal for
// the line: for seconds, also when it is said not to block.
bool may_wait(int fd) noexcept {
    linger set{};
    socklen_t size = sizeof(set);
    if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &set, &size) == 0) {
        return set.l_onoff != 0 && set.l_linger > 0;
    }
    return isatty(fd) != 0;
}

// What is closed on a thread of its own.
struct Closing {
    int fd;
    LoopFile *file; // a counted reference, or nullptr when nobody can wait for it any more
    void (*closed)(LoopFile *);
};

void *close_slowly(void *argument) {
    const std::unique_ptr<Closing> closing{static_cast<Closing *>(argument)};
    ::close(closing->fd);
    closing->closed(closing->file);
    return nullptr;
}

void count_closed() noexcept {
    Counters::add(core().counters.watched_files, -1);
}

} // namespace

LoopFile *LoopFile::make(EventLoop *loop, uint64_t id, int fd) {
    struct stat found {};
    if (fstat(fd, &found) != 0) {
        throw PosixError{errno};
    }
    // What is always ready, and what epoll refuses. The VM would take it, and say so again and again.
    if (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)) {
        throw PosixError{EPERM};
    }
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        throw PosixError{errno};
    }
    return new (enif_alloc_resource(core().types.loop_file, sizeof(LoopFile))) LoopFile{loop, id, copy};
}

LoopFile::LoopFile(EventLoop *loop, uint64_t id, int fd) noexcept : loop_(loop), id_(id), fd_(fd) {
    enif_keep_resource(loop);
    Counters::add(core().counters.watched_files, 1);
}

LoopFile::~LoopFile() {
    close_unarmed(false); // the VM holds a reference to those it knows
    enif_release_resource(loop_);
}

bool LoopFile::watch(ErlNifEnv *env, const ErlNifPid &worker) noexcept {
    return enif_monitor_process(env, this, &worker, nullptr) == 0;
}

LoopFile::Armed LoopFile::arm(ErlNifEnv *env, const ErlNifPid &worker, uint8_t directions) noexcept {
    std::lock_guard lock{mutex_};
    if (closing_) {
        return Armed::closed;
    }
    for (const Direction direction : {for_reading, for_writing}) {
        if ((directions & direction) == 0 || (armed_.load() & direction) != 0) {
            continue;
        }
        armed_.fetch_or(direction); // before: the worker may be told at once
        ERL_NIF_TERM message =
            enif_make_tuple3(env, core().atoms.py_event, enif_make_uint64(env, id_), enif_make_uint(env, direction));
        const auto mode = static_cast<ErlNifSelectFlags>(
            (direction == for_reading ? ERL_NIF_SELECT_READ : ERL_NIF_SELECT_WRITE) | ERL_NIF_SELECT_CUSTOM_MSG);
        const int result = enif_select_x(env, fd_, mode, this, &worker, message, nullptr);
        if (result < 0) {
            fired(direction);
            return Armed::failed;
        }
        selected_ = true;
    }
    return Armed::ok;
}

void LoopFile::close(ErlNifEnv *env) noexcept {
    if (close_unarmed()) {
        return;
    }
    std::lock_guard lock{mutex_};
    if (!closing_) {
        closing_ = true;
        enif_select(env, fd_, ERL_NIF_SELECT_STOP, this, nullptr, core().atoms.undefined);
    }
}

bool LoopFile::close_unarmed(bool held) noexcept {
    std::lock_guard lock{mutex_};
    if (closing_) {
        return true;
    }
    if (selected_) {
        return false;
    }
    closing_ = true;
    stopped(held);
    return true;
}

bool LoopFile::wait_closed(std::chrono::milliseconds patience) noexcept {
    if (spin([this] { return closed_.load(); })) {
        return true;
    }
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!closed_.load() && std::chrono::steady_clock::now() < deadline) {
        parker_.park(deadline);
    }
    return closed_.load();
}

// This is a scheduler, mostly, which must not wait.
void LoopFile::stopped(bool held) noexcept {
    if (may_wait(fd_)) {
        const auto closed_later = [](LoopFile *file) {
            if (file == nullptr) {
                count_closed();
            } else {
                file->closed();
                enif_release_resource(file);
            }
        };
        auto *closing = new (std::nothrow) Closing{fd_, held ? this : nullptr, closed_later};
        if (held) {
            enif_keep_resource(this);
        }
        if (closing != nullptr && start_detached(close_slowly, closing) == 0) {
            return;
        }
        // Where there are no more threads waiting here is better than a file that is never closed.
        delete closing;
        if (held) {
            enif_release_resource(this); // not the last one
        }
    }
    ::close(fd_);
    closed();
}

void LoopFile::closed() noexcept {
    count_closed();
    closed_.store(true);
    parker_.unpark();
}

void destroy_loop_file(ErlNifEnv *, void *resource) {
    static_cast<LoopFile *>(resource)->~LoopFile();
}

void stop_loop_file(ErlNifEnv *, void *resource, ErlNifEvent, int) {
    static_cast<LoopFile *>(resource)->stopped(true);
}

void loop_file_worker_down(ErlNifEnv *env, void *resource, ErlNifPid *, ErlNifMonitor *) {
    auto *file = static_cast<LoopFile *>(resource);
    file->loop()->remove(env, file);
}

} // namespace ep
