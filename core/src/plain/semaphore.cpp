#include "semaphore.hpp"

namespace ep {

bool Semaphore::try_take(uint64_t &state) noexcept {
    while (waiters(state) == 0 && count(state) < max_.load()) {
        if (state_.compare_exchange_weak(state, state + 1)) {
            return true;
        }
    }
    return false;
}

bool Semaphore::acquire(Waiter &waiter) noexcept {
    uint64_t state = state_.load();
    if (try_take(state)) {
        return true;
    }
    std::lock_guard lock{mutex_};
    state = state_.load();
    do {
        if (try_take(state)) {
            return true;
        }
    } while (!state_.compare_exchange_weak(state, state + one_waiter));
    append(waiter);
    return false;
}

bool Semaphore::withdraw(Waiter &waiter) noexcept {
    std::lock_guard lock{mutex_};
    if (!waiter.waiting) {
        return false;
    }
    remove(waiter);
    state_.fetch_sub(one_waiter);
    return true;
}

void Semaphore::release(void *environment) noexcept {
    uint64_t state = state_.load();
    while (waiters(state) == 0) {
        if (state_.compare_exchange_weak(state, state - 1)) {
            return;
        }
    }
    Waiter *next = nullptr;
    do {
        next = take_turn(false);
    } while (next != nullptr && !next->granted(next, environment));
}

// Hands the caller's slot on, or a new one below the limit; nullptr when nobody waits or the limit says no, and then
// the caller's slot is given back.
Semaphore::Waiter *Semaphore::take_turn(bool with_new_slot) noexcept {
    std::lock_guard lock{mutex_};
    uint64_t state = state_.load();
    for (;;) {
        uint32_t limit = max_.load();
        bool fits = with_new_slot ? count(state) < limit : count(state) <= limit;
        if (waiters(state) == 0 || !fits) {
            if (with_new_slot || state_.compare_exchange_weak(state, state - 1)) {
                return nullptr;
            }
            continue;
        }
        uint64_t after = state - one_waiter + (with_new_slot ? 1 : 0);
        if (state_.compare_exchange_weak(state, after)) {
            Waiter *next = first_;
            remove(*next);
            return next;
        }
    }
}

void Semaphore::set_max(uint32_t max, void *environment) noexcept {
    max_.store(max);
    while (Waiter *next = take_turn(true)) {
        if (!next->granted(next, environment)) {
            release(environment);
        }
    }
}

void Semaphore::append(Waiter &waiter) noexcept {
    waiter.waiting = true;
    waiter.behind = nullptr;
    waiter.before = last_;
    (last_ != nullptr ? last_->behind : first_) = &waiter;
    last_ = &waiter;
}

void Semaphore::remove(Waiter &waiter) noexcept {
    (waiter.before != nullptr ? waiter.before->behind : first_) = waiter.behind;
    (waiter.behind != nullptr ? waiter.behind->before : last_) = waiter.before;
    waiter.waiting = false;
}

} // namespace ep
