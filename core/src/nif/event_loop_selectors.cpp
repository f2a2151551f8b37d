// Event loops of Python, whose selectors leave it to the VM to watch files.
#include "event_loop.hpp"

#include "core.hpp"
#include "posix_error.hpp"

#include <cerrno>
#include <chrono>
#include <new>
#include <utility>

namespace ep {

namespace {

// How long Python waits for a worker to let go of a file. It takes microseconds, unless somebody has suspended it.
constexpr std::chrono::milliseconds patience{500};

} // namespace

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

} // namespace ep
