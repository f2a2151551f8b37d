#include "parker.hpp"

#if defined(__linux__)
#include <cerrno>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ep {

#if defined(__linux__)

namespace {

long futex(std::atomic<int> *word, int operation, int value, const timespec *timeout) noexcept {
    static_assert(sizeof(std::atomic<int>) == sizeof(int));
    return syscall(SYS_futex, reinterpret_cast<int *>(word), operation, value, timeout, nullptr, 0);
}

} // namespace

// The three states and their edges are those of Rust's std::thread::park on futexes.
void Parker::park(const Deadline &deadline) noexcept {
    if (state_.fetch_sub(1) == notified) {
        return;
    }
    for (;;) {
        timespec timeout{};
        if (deadline) {
            auto left =
                std::chrono::duration_cast<std::chrono::nanoseconds>(*deadline - std::chrono::steady_clock::now());
            if (left.count() <= 0) {
                state_.exchange(empty);
                return;
            }
            timeout.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000);
            timeout.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
        }
        futex(&state_, FUTEX_WAIT_PRIVATE, parked, deadline ? &timeout : nullptr);
        int expected = notified;
        if (state_.compare_exchange_strong(expected, empty)) {
            return;
        }
    }
}

void Parker::unpark() noexcept {
    if (state_.exchange(notified) == parked) {
        futex(&state_, FUTEX_WAKE_PRIVATE, 1, nullptr);
    }
}

#else

void Parker::park(const Deadline &deadline) noexcept {
    std::unique_lock lock{mutex_};
    auto woken = [this] { return notified_; };
    if (deadline) {
        condition_.wait_until(lock, *deadline, woken);
    } else {
        condition_.wait(lock, woken);
    }
    notified_ = false;
}

void Parker::unpark() noexcept {
    // Notified under the lock: the parked thread may free this object as soon as it can take it.
    std::lock_guard lock{mutex_};
    notified_ = true;
    condition_.notify_one();
}

#endif

} // namespace ep
