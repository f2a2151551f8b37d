// Requests that are to be interrupted, each until it is over.
#pragma once

#include "../plain/inbox.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace ep {

class Context;

// An order to interrupt a request; again and again, since one interrupt may come too early, or be swallowed by code that
// catches everything.
class Interrupt : public Message {
public:
    static constexpr uint32_t message_kind = 1;

    // `serial` 0: whatever runs, until the context's thread has ended. Any thread.
    Interrupt(Context *context, uint64_t serial);
    Interrupt(const Interrupt &) = delete;
    Interrupt &operator=(const Interrupt &) = delete;
    ~Interrupt();

    // True when there is nothing more to do. May wait for a GIL.
    bool carry_out();

private:
    Context *const context_; // a counted reference
    const uint64_t serial_;
};

// Those of one backend's contexts. For the thread that carries them out.
class Interrupts {
public:
    void add(std::unique_ptr<Interrupt> order);
    // Until when to wait for messages before carry_out is called again.
    Parker::Deadline next();
    void carry_out();

private:
    std::vector<std::unique_ptr<Interrupt>> orders_;
    std::chrono::milliseconds interval_{};
};

} // namespace ep
