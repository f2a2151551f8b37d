// A parker: no wake is lost, whether it comes before, while or after a thread goes to sleep.
#include "plain/parker.hpp"
#include "together.hpp"

#include "catch.hpp"

#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ep::Parker;

TEST_CASE("a wake that comes first is not lost") {
    Parker parker;
    parker.unpark();
    parker.park();
    SUCCEED("it returned");
}

TEST_CASE("several wakes before a park are one") {
    Parker parker;
    parker.unpark();
    parker.unpark();
    parker.unpark();
    parker.park();
    const auto deadline = Clock::now() + 2ms;
    parker.park(deadline);
    CHECK(Clock::now() >= deadline);
}

TEST_CASE("a park ends with its deadline and leaves no trace") {
    Parker parker;
    for (auto patience : {-1ms, 0ms, 2ms}) {
        const auto deadline = Clock::now() + patience;
        parker.park(deadline);
        CHECK(Clock::now() >= deadline);
    }
    parker.unpark();
    parker.park();
}

TEST_CASE("a parked thread leaves the processor to others, also after deadlines") {
    auto processor_time = [] { // of this thread
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    };
    Parker parker;
    const auto before = processor_time();
    for (int i = 0; i < 5; ++i) {
        parker.park(Clock::now() + 20ms);
    }
    CHECK(processor_time() - before < 30ms);
}

TEST_CASE("a wake that came first ends a park before its deadline") {
    Parker parker;
    parker.unpark();
    const auto deadline = Clock::now() + 1h;
    parker.park(deadline);
    CHECK(Clock::now() < deadline);
}

TEST_CASE("two threads wake each other thousands of times, and see what the other wrote") {
    Parker ping, pong;
    int ball = 0; // plain: the parkers order every access, which the thread sanitizer checks
    constexpr int rounds = 5000;
    std::jthread partner{[&] {
        for (int i = 0; i < rounds; ++i) {
            ping.park();
            ++ball;
            pong.unpark();
        }
    }};
    for (int i = 0; i < rounds; ++i) {
        ++ball;
        ping.unpark();
        pong.park();
    }
    CHECK(ball == 2 * rounds);
}

TEST_CASE("a wake that meets the end of the deadline is not lost for the next park") {
    Parker parker;
    std::atomic<int> sent{0}, seen{0};
    constexpr int rounds = 3000;
    std::jthread waker{[&] {
        for (int i = 1; i <= rounds; ++i) {
            sent.store(i);
            parker.unpark();
            while (seen.load() < i) {
                std::this_thread::yield();
            }
        }
    }};
    for (int i = 1; i <= rounds; ++i) {
        // Sometimes without a deadline: then only the wake can end it.
        while (sent.load() < i) {
            parker.park(i % 3 == 0 ? Parker::Deadline{} : Clock::now() + std::chrono::microseconds{i % 50});
        }
        seen.store(i);
    }
    CHECK(sent.load() == rounds);
}
