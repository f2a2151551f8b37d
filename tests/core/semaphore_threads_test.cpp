// A semaphore under load: the limit holds, nobody is forgotten in line, and in the end no slot is missing.
#include "together.hpp"
#include "waiters.hpp"

#include "catch.hpp"

#include <algorithm>
#include <atomic>
#include <deque>

using ep::Semaphore;

namespace {

constexpr int threads = 4;
constexpr int rounds = 10000;

// Counts who holds a slot at the moment.
class Holders {
public:
    void enter() {
        const int now = now_.fetch_add(1) + 1;
        int most = most_.load();
        while (now > most && !most_.compare_exchange_weak(most, now)) {
        }
    }
    void leave() { now_.fetch_sub(1); }
    int most() const { return most_.load(); }

private:
    std::atomic<int> now_{0}, most_{0};
};

// With its slot.
void work(Semaphore &semaphore, Holders &holders) {
    holders.enter();
    std::this_thread::yield(); // others get to find it taken
    holders.leave();
    semaphore.release(nullptr);
}

} // namespace

TEST_CASE("no more than the limit hold a slot, and everybody gets one in the end") {
    const int limit = GENERATE(1, 2, 3);
    Semaphore semaphore{static_cast<uint32_t>(limit)};
    Holders holders;
    std::deque<Sleeper> sleepers(threads);
    std::atomic<int> served{0};
    together(threads, [&](int i) {
        for (int round = 0; round < rounds; ++round) {
            if (semaphore.acquire(sleepers[i]) || sleepers[i].wait()) {
                ++served;
                work(semaphore, holders);
            }
        }
    });
    CHECK(served.load() == threads * rounds);
    CHECK(holders.most() <= limit);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("who withdraws while a slot is granted has it or has not, and knows which") {
    Semaphore semaphore{1};
    Holders holders;
    std::deque<Sleeper> sleepers(threads);
    std::atomic<int> withdrawn{0};
    together(threads, [&](int i) {
        for (int round = 0; round < rounds; ++round) {
            if (!semaphore.acquire(sleepers[i])) {
                if (round % 3 == 0) {
                    std::this_thread::yield();
                }
                if (round % 2 == 0 && semaphore.withdraw(sleepers[i])) {
                    ++withdrawn;
                    continue;
                }
                sleepers[i].wait();
            }
            work(semaphore, holders);
        }
    });
    CHECK(withdrawn.load() > 0);
    CHECK(holders.most() == 1);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("slots that nobody wants any more are handed on while others come and go") {
    Semaphore semaphore{2};
    Holders holders;
    std::deque<Sleeper> sleepers(threads);
    std::atomic<int> refused{0};
    together(threads, [&](int i) {
        for (int round = 0; round < rounds; ++round) {
            sleepers[i].wants.store((round + i) % 2 == 0);
            if (semaphore.acquire(sleepers[i]) || sleepers[i].wait()) {
                work(semaphore, holders);
            } else {
                ++refused;
            }
        }
    });
    CHECK(refused.load() > 0);
    CHECK(holders.most() <= 2);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("slots are given back for a while and taken again, above the limit only by those who do that") {
    Semaphore semaphore{2};
    Holders holders;
    std::deque<Sleeper> sleepers(threads);
    together(threads, [&](int i) {
        for (int round = 0; round < rounds; ++round) {
            if (!semaphore.acquire(sleepers[i])) {
                sleepers[i].wait();
            }
            if (i == 0) { // it waits for a callback
                semaphore.release(nullptr);
                std::this_thread::yield();
                semaphore.retake();
            }
            work(semaphore, holders);
        }
    });
    CHECK(holders.most() <= 2 + 1);
    CHECK(semaphore.current() == 0);
}

TEST_CASE("the limit goes up and down under load, and nobody is left in line") {
    constexpr uint32_t highest = 4;
    Semaphore semaphore{highest};
    Holders holders;
    std::deque<Sleeper> sleepers(threads + 2);
    std::atomic<int> working{threads + 2};
    together(threads + 3, [&](int i) {
        if (i == threads + 2) {
            for (uint32_t limit = 1; working.load() > 0; limit = limit % highest + 1) {
                semaphore.set_max(limit, nullptr);
                std::this_thread::yield();
            }
            return;
        }
        for (int round = 0; round < rounds; ++round) {
            sleepers[i].wants.store(round % 5 != 0);
            if (semaphore.acquire(sleepers[i]) || sleepers[i].wait()) {
                work(semaphore, holders);
            }
        }
        --working;
    });
    CHECK(holders.most() <= static_cast<int>(highest));
    CHECK(semaphore.current() == 0);
}

TEST_CASE("the line is served in the order in which it formed") {
    // One thread lines up, another releases, so that there is one order to keep.
    struct Turn : Semaphore::Waiter {
        std::vector<Turn *> *served = nullptr;
    };
    Semaphore semaphore{1};
    std::deque<Turn> line(rounds);
    std::vector<Turn *> served;
    std::atomic<int> waiting{0};
    std::vector<Turn *> expected;
    together(2, [&](int i) {
        if (i == 0) {
            for (Turn &turn : line) {
                turn.served = &served;
                turn.granted = [](Semaphore::Waiter *waiter, void *) {
                    auto *self = static_cast<Turn *>(waiter);
                    self->served->push_back(self);
                    return true;
                };
                if (!semaphore.acquire(turn)) {
                    expected.push_back(&turn);
                }
                ++waiting;
            }
        } else {
            for (int released = 0; released < rounds; ++released) {
                while (waiting.load() <= released) {
                    std::this_thread::yield();
                }
                semaphore.release(nullptr);
            }
        }
    });
    CHECK(served == expected);
    CHECK(semaphore.current() == 0);
}
