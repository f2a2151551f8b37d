// Exceptions for the threads of one interpreter, from a thread that may wait for its GIL.
#pragma once

#include "../engine/engine.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace ep {

// The thread that delivers interrupts serves all contexts, and must not wait for one interpreter: code in a C function
// keeps its GIL for as long as that takes. So the waiting is done by a thread that exists while there is something to
// deliver.
class Interrupter {
public:
    explicit Interrupter(ep_interp &interp) : interp_(interp) {}
    Interrupter(const Interrupter &) = delete;
    Interrupter &operator=(const Interrupter &) = delete;

    // Has that request interrupted; whether it has been, since it was last asked for. Does not wait. [python-main]
    bool interrupt(uint64_t serial);
    // Interrupts whatever the interpreter's other threads do, again and again after some patience, until stop().
    // [context-thread]
    void hound();
    // Waits until the thread has ended; it will not come back. Detached. [context-thread]
    void stop();

private:
    bool start_thread(); // with mutex_
    void run();
    void deliver(uint64_t serial, bool everything);

    ep_interp &interp_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool runs_ = false; // guarded by mutex_, as all that follows: the thread exists
    bool stopping_ = false;
    bool hounding_ = false;
    uint64_t wanted_ = 0;    // the request to be interrupted; 0: none
    uint64_t delivered_ = 0; // the one that was
};

} // namespace ep
