// Puts one thread to sleep until another one wakes it. A wake that comes first is not lost.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#if !defined(__linux__)
#include <condition_variable>
#include <mutex>
#endif

namespace ep {

class Parker {
public:
    using Deadline = std::optional<std::chrono::steady_clock::time_point>;

    Parker() = default;
    Parker(const Parker &) = delete;
    Parker &operator=(const Parker &) = delete;

    // Sleeps until unpark() or the deadline; returns at once if unpark() came since the last park. One thread only.
    void park(const Deadline &deadline = std::nullopt) noexcept;
    // Any thread.
    void unpark() noexcept;

private:
#if defined(__linux__)
    static constexpr int parked = -1, empty = 0, notified = 1;
    std::atomic<int> state_{empty}; // a futex
#else
    std::mutex mutex_;
    std::condition_variable condition_;
    bool notified_ = false; // guarded by mutex_
#endif
};

} // namespace ep
