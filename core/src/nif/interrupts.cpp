#include "interrupts.hpp"

#include "context.hpp"

#include <algorithm>

namespace ep {

namespace {

constexpr std::chrono::milliseconds shortest_interval{5};
constexpr std::chrono::milliseconds longest_interval{1000};

} // namespace

Interrupt::Interrupt(Context *context, uint64_t serial) : context_(context), serial_(serial) {
    kind = message_kind;
    enif_keep_resource(context_);
}

Interrupt::~Interrupt() {
    enif_release_resource(context_);
}

bool Interrupt::carry_out() {
    if (context_->thread_ended() || (serial_ != 0 && !context_->runs(serial_))) {
        return true;
    }
    const uint64_t top = context_->running_serial();
    const uint64_t target = serial_ != 0 ? serial_ : top;
    if (target != top) {
        return false; // it waits below another one, and will see that it was interrupted
    }
    if (target != 0) {
        context_->deliver_interrupt(target);
    }
    return false;
}

void Interrupts::add(std::unique_ptr<Interrupt> order) {
    orders_.push_back(std::move(order));
    interval_ = shortest_interval;
}

Parker::Deadline Interrupts::next() {
    if (orders_.empty()) {
        return {};
    }
    const auto deadline = std::chrono::steady_clock::now() + interval_;
    // Code in the middle of a C function may take long; code that imports much is only seldom at a good place.
    interval_ = std::min(interval_ + interval_ / 4 + std::chrono::milliseconds{1}, longest_interval);
    return deadline;
}

void Interrupts::carry_out() {
    std::erase_if(orders_, [](const std::unique_ptr<Interrupt> &order) { return order->carry_out(); });
}

} // namespace ep
