#include "spin.hpp"

#include <atomic>
#include <thread>

namespace ep {

namespace {

int permits() noexcept {
    static const int count = [] {
        unsigned processors = std::thread::hardware_concurrency();
        return static_cast<int>(processors < 2 ? 0 : (processors < 4 ? 1 : processors / 2));
    }();
    return count;
}

std::atomic<int> spinning{0};

} // namespace

SpinPermit::SpinPermit() noexcept : granted_(true) {
    if (spinning.fetch_add(1, std::memory_order_relaxed) >= permits()) { // a hint, it orders nothing
        spinning.fetch_sub(1, std::memory_order_relaxed);
        granted_ = false;
    }
}

SpinPermit::~SpinPermit() {
    if (granted_) {
        spinning.fetch_sub(1, std::memory_order_relaxed);
    }
}

} // namespace ep
