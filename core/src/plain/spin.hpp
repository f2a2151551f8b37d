// Waiting without the kernel, for a few microseconds, by few threads at a time.
#pragma once

#include <chrono>

namespace ep {

// Tells the processor that this is a loop that waits.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    asm volatile("yield");
#endif
}

// A permit to spin. There are as many as half the machine's processors, and none on a machine with one: a thread that
// spins where another could run only delays what it waits for.
class SpinPermit {
public:
    SpinPermit() noexcept;
    ~SpinPermit();
    SpinPermit(const SpinPermit &) = delete;
    SpinPermit &operator=(const SpinPermit &) = delete;
    explicit operator bool() const noexcept { return granted_; }

private:
    bool granted_;
};

// How long a hand-off is worth spinning for: long enough for the answer of a process that runs at once, and less than
// waking a sleeping thread costs (docs/decisions/spinning.md). Without giving the processor away meanwhile: a thread that
// yields to a busy one waits for its whole time slice, and one that sleeps is let in front of it when it is woken.
inline constexpr std::chrono::microseconds spin_time{5};

// Spins until `done()` or the time is over; true when done.
template <class Done> bool spin(Done done) noexcept {
    SpinPermit permit;
    if (!permit) {
        return done();
    }
    const auto end = std::chrono::steady_clock::now() + spin_time;
    do {
        for (int i = 0; i < 32; ++i) {
            if (done()) {
                return true;
            }
            relax();
        }
    } while (std::chrono::steady_clock::now() < end);
    return done();
}

} // namespace ep
