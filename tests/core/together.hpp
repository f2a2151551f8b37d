// Functions that run at the same time, for what has to hold whichever of them is first.
#pragma once

#include "plain/spin.hpp"

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

// Runs function(0) to function(n - 1), each on a thread of its own. Assertions belong behind it: those of Catch2 2 are
// for one thread.
template <class Function> void together(int n, Function function) {
    std::latch start{n};
    std::vector<std::jthread> threads;
    for (int i = 0; i < n; ++i) {
        threads.emplace_back([&, i] {
            start.arrive_and_wait();
            function(i);
        });
    }
}

// Where two threads meet. They spin, so that they leave within some nanoseconds of each other: waking one would take so
// long that they never met in the middle of anything.
class Meeting {
public:
    void arrive() {
        const unsigned round = round_.load();
        if (arrived_.fetch_add(1) == 1) {
            arrived_.store(0);
            round_.store(round + 1);
            return;
        }
        for (int i = 1; round_.load() == round; ++i) {
            i % 200 == 0 ? std::this_thread::yield() : ep::relax();
        }
    }

private:
    std::atomic<unsigned> round_{0};
    std::atomic<int> arrived_{0};
};

// Repeats: prepare(), then first() and second() at the same time, one or the other some nanoseconds ahead, then
// judge().
template <class Prepare, class First, class Second, class Judge>
void duel(int rounds, Prepare prepare, First first, Second second, Judge judge) {
    constexpr int most_ahead = 300;
    Meeting meeting;
    auto ahead = [](int round) { return round * 37 % (2 * most_ahead) - most_ahead; };
    auto wait = [](int steps) {
        for (int i = 0; i < steps; ++i) {
            asm volatile(""); // a step the compiler leaves in
        }
    };
    std::jthread rival{[&] {
        for (int round = 0; round < rounds; ++round) {
            meeting.arrive();
            wait(ahead(round));
            second();
            meeting.arrive();
        }
    }};
    for (int round = 0; round < rounds; ++round) {
        prepare();
        meeting.arrive();
        wait(-ahead(round));
        first();
        meeting.arrive();
        judge();
    }
}
