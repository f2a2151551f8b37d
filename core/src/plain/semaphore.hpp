// Bounds how many requests are on their way at once. Who finds it full waits in line, in order, and is told when it is
// its turn: nobody polls.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace ep {

class Semaphore {
public:
    struct Waiter {
        // Called once, without a lock, when the slot is the waiter's. False when it has no use for it any more: then
        // the next in line gets it. `environment` is what release() was given.
        bool (*granted)(Waiter *self, void *environment) = nullptr;

    private:
        friend class Semaphore;
        Waiter *before = nullptr; // all three guarded by Semaphore::mutex_
        Waiter *behind = nullptr;
        bool waiting = false;
    };

    explicit Semaphore(uint32_t max) noexcept : max_(max) {}
    Semaphore(const Semaphore &) = delete;
    Semaphore &operator=(const Semaphore &) = delete;

    // True: taken. False: the waiter is in line.
    bool acquire(Waiter &waiter) noexcept;
    // True: it is out of the line. False: it has been granted, or is just being.
    bool withdraw(Waiter &waiter) noexcept;
    // Takes the first in line that matches out of it; nullptr when none does.
    template <class Matches> Waiter *withdraw_first(Matches matches) noexcept {
        std::lock_guard lock{mutex_};
        for (Waiter *waiter = first_; waiter != nullptr; waiter = waiter->behind) {
            if (matches(*waiter)) {
                remove(*waiter);
                state_.fetch_sub(one_waiter);
                return waiter;
            }
        }
        return nullptr;
    }
    // Takes all that match out of the line, in one pass, and gives each to `each` afterwards.
    template <class Matches, class Each> void withdraw_all(Matches matches, Each each) noexcept {
        Waiter *out = nullptr;
        {
            std::lock_guard lock{mutex_};
            for (Waiter *waiter = last_; waiter != nullptr;) {
                Waiter *before = waiter->before;
                if (matches(*waiter)) {
                    remove(*waiter);
                    state_.fetch_sub(one_waiter);
                    waiter->behind = out;
                    out = waiter;
                }
                waiter = before;
            }
        }
        while (out != nullptr) {
            Waiter *behind = out->behind;
            each(*out);
            out = behind;
        }
    }
    // Gives a slot back; hands it to the first in line if there is one.
    void release(void *environment) noexcept;
    // Takes a slot without waiting, above the limit if need be: for a request that had one before.
    void retake() noexcept { state_.fetch_add(1); }

    uint32_t current() const noexcept { return count(state_.load()); }
    uint32_t max() const noexcept { return max_.load(); }
    void set_max(uint32_t max, void *environment) noexcept;

private:
    static constexpr uint64_t one_waiter = uint64_t{1} << 32;
    static uint32_t count(uint64_t state) noexcept { return static_cast<uint32_t>(state); }
    static uint32_t waiters(uint64_t state) noexcept { return static_cast<uint32_t>(state >> 32); }
    bool try_take(uint64_t &state) noexcept;
    void append(Waiter &waiter) noexcept;
    void remove(Waiter &waiter) noexcept;
    Waiter *take_turn(bool with_new_slot) noexcept;

    // How many slots are taken (low half) and how many wait (high half), in one word: a release that sees no waiter
    // cannot miss one that is just lining up. The high half changes only under mutex_.
    std::atomic<uint64_t> state_{0};
    std::atomic<uint32_t> max_;
    std::mutex mutex_; // guards the line
    Waiter *first_ = nullptr;
    Waiter *last_ = nullptr;
};

} // namespace ep
