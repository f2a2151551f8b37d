#include "interrupter.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace ep {

namespace {

// How long the threads of an interpreter that ends may take to end by themselves, and to clean up once interrupted.
constexpr std::chrono::milliseconds patience{500};
constexpr std::chrono::milliseconds longest_pause{30'000};
constexpr int rounds_until_warning = 12;

// Every other thread of the interpreter the calling one is attached to.
void interrupt_all(PyThreadState *self, PyObject *exception) {
    std::vector<PyThreadState *> threads;
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(self)); thread != nullptr;
         thread = PyThreadState_Next(thread)) {
        if (thread != self) {
            threads.push_back(thread);
        }
    }
    for (PyThreadState *thread : threads) { // with the GIL, so that none of them has gone meanwhile
        py::compat::set_async_exception(thread, exception);
    }
}

} // namespace

bool Interrupter::interrupt(uint64_t serial) {
    std::lock_guard lock{mutex_};
    if (delivered_ == serial) {
        delivered_ = 0;
        return true;
    }
    wanted_ = serial;
    if (!runs_ && !stopping_) {
        runs_ = start_thread();
    }
    return false; // asked again soon
}

void Interrupter::hound() {
    std::lock_guard lock{mutex_};
    hounding_ = true;
    if (!runs_ && !stopping_) {
        runs_ = start_thread();
    }
}

void Interrupter::stop() {
    std::unique_lock lock{mutex_};
    stopping_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !runs_; });
}

bool Interrupter::start_thread() {
    try {
        std::thread{[this] { run(); }}.detach();
        return true;
    } catch (const std::system_error &) {
        return false; // the next order tries again
    }
}

void Interrupter::run() {
    int rounds = 0;
    auto pause = patience;
    std::unique_lock lock{mutex_};
    while (!stopping_ && (wanted_ != 0 || hounding_)) {
        if (hounding_ && wanted_ == 0 && changed_.wait_for(lock, pause, [this] { return stopping_; })) {
            break;
        }
        pause = std::min(pause + pause / 8, longest_pause); // a thread in a C function may take for ever
        const uint64_t serial = std::exchange(wanted_, 0);
        const bool everything = hounding_;
        lock.unlock();
        if (everything && ++rounds == rounds_until_warning) {
            constexpr std::string_view text =
                "a context that was stopped still waits for threads that its Python code has started and that are in a C "
                "function; its interpreter keeps its memory until they end";
            engine().host->log(EP_LEVEL_WARNING, text.data(), text.size());
        }
        deliver(serial, everything);
        lock.lock();
    }
    runs_ = false;
    changed_.notify_all(); // with the mutex: the object may be gone once it is released
}

void Interrupter::deliver(uint64_t serial, bool everything) {
    PyThreadState *self = PyThreadState_New(interp_.interpreter->python);
    if (self == nullptr) {
        return;
    }
    PyEval_RestoreThread(self);
    const bool raised = serial != 0 && raise_interrupted(interp_, serial);
    if (everything) {
        // An interpreter that was never set up has no exception of ours.
        ModuleState *state = interp_.interpreter->state;
        interrupt_all(self, state != nullptr ? state->interrupted.get() : PyExc_SystemExit);
    }
    PyThreadState_Clear(self);
    PyThreadState_DeleteCurrent();
    if (raised) {
        std::lock_guard lock{mutex_};
        delivered_ = serial;
        if (wanted_ == serial) { // asked again meanwhile: once is enough, since it cleans up now
            wanted_ = 0;
        }
    }
}

} // namespace ep
