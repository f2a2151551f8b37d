// How long should a thread that waits for work spin before it sleeps? See docs/decisions/spinning.md.
//
// One thread asks another and waits for the answer, then pauses before it asks again. The one that answers spins for a
// while before it sleeps; the one that asks spins as long as it takes, as a scheduler of the VM does that has just sent
// something. Printed: the median time of a round trip, and the CPU time the answering thread spent on each.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <sched.h>
#include <thread>
#include <vector>

#include <plain/parker.hpp>
#include <plain/spin.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr double spins[] = {0, 5, 10, 20, 50, 100};
constexpr double pauses[] = {0, 5, 15, 40, 1000};
constexpr int rounds = 3000;

// One value at a time, from one thread to another.
class Box {
public:
    explicit Box(double spin) : spin_(spin) {}

    void put(int value) {
        value_.store(value);
        parker_.unpark();
    }

    int take() {
        const auto end = Clock::now() + spin_;
        while (value_.load() == 0 && Clock::now() < end) {
            for (int i = 0; i < 32 && value_.load() == 0; ++i) {
                ep::relax();
            }
        }
        while (value_.load() == 0) {
            parker_.park();
        }
        return value_.exchange(0);
    }

private:
    const Microseconds spin_;
    std::atomic<int> value_{0};
    ep::Parker parker_;
};

double cpu_of_this_thread() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Each thread on a processor of its own, so that it is always the hand-off between two that is measured.
void pin(unsigned processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(0, sizeof set, &set);
}

void pause(double microseconds) {
    if (microseconds > 100) {
        std::this_thread::sleep_for(Microseconds{microseconds});
        return;
    }
    const auto end = Clock::now() + Microseconds{microseconds};
    while (Clock::now() < end) {
        ep::relax();
    }
}

struct Cost {
    double round_trip;
    double cpu;
};

Cost measure(double spin, double pause_time) {
    Box requests{spin};
    Box answers{1e6};
    double cpu = 0;
    std::thread server{[&] {
        pin(1);
        for (int value = 1; value > 0;) {
            value = requests.take();
            answers.put(value);
        }
        cpu = cpu_of_this_thread();
    }};
    std::vector<double> times;
    times.reserve(rounds);
    for (int i = 1; i <= rounds; ++i) {
        pause(pause_time);
        const auto begin = Clock::now();
        requests.put(i);
        answers.take();
        times.push_back(Microseconds{Clock::now() - begin}.count());
    }
    requests.put(-1);
    server.join();
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    return {times[rounds / 2], cpu / rounds};
}

} // namespace

int main() {
    pin(0);
    std::printf("%u processors; microseconds, round trip / CPU\n\n| spin ", std::thread::hardware_concurrency());
    for (double pause_time : pauses) {
        std::printf("| pause %.0f ", pause_time);
    }
    std::printf("|\n|---|---|---|---|---|---|\n");
    for (double spin : spins) {
        std::printf("| %.0f ", spin);
        for (double pause_time : pauses) {
            const Cost cost = measure(spin, pause_time);
            std::printf("| %.1f / %.1f ", cost.round_trip, cost.cpu);
        }
        std::printf("|\n");
    }
}
