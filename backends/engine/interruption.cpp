// Exceptions from outside for code that runs.
#include "engine.hpp"
#include "functions.hpp"

#include <chrono>
#include <pthread.h>
#include <string_view>
#include <time.h>
#include <utility>
#ifdef __APPLE__
#include <mach/mach.h>
#endif

namespace ep {

namespace {

// Whether the innermost Python code of a thread is in a file with one of these in its name. The thread must not run
// meanwhile.
template <size_t count> bool runs_code_of(PyThreadState *thread, const std::string_view (&files)[count]) {
    PyFrameObject *frame = PyThreadState_GetFrame(thread);
    if (frame == nullptr) {
        return false;
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    Py_ssize_t size = 0;
    const char *text = PyUnicode_AsUTF8AndSize(code->co_filename, &size);
    bool found = false;
    if (text != nullptr) {
        const std::string_view name{text, static_cast<size_t>(size)};
        for (std::string_view file : files) {
            found = found || name.find(file) != std::string_view::npos;
        }
    } else {
        PyErr_Clear();
    }
    Py_DECREF(code);
    Py_DECREF(frame);
    return found;
}

// How long a thread has run; the longest time there is where that cannot be found out. It has not ended.
std::chrono::nanoseconds processor_time_of(unsigned long identifier) {
#ifdef __APPLE__
    thread_basic_info_data_t info;
    mach_msg_type_number_t count = THREAD_BASIC_INFO_COUNT;
    const mach_port_t port = pthread_mach_thread_np(reinterpret_cast<pthread_t>(identifier));
    if (thread_info(port, THREAD_BASIC_INFO, reinterpret_cast<thread_info_t>(&info), &count) == KERN_SUCCESS) {
        return std::chrono::seconds{info.user_time.seconds + info.system_time.seconds} +
               std::chrono::microseconds{info.user_time.microseconds + info.system_time.microseconds};
    }
#else
    clockid_t clock{};
    timespec time{};
    if (pthread_getcpuclockid((pthread_t)identifier, &clock) == 0 && clock_gettime(clock, &time) == 0) {
        return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    }
#endif
    return std::chrono::nanoseconds::max() / 2;
}

// The import system's own: an exception in the middle of that leaves a module's lock taken, and every later import of
// the module waits for ever. Code of a module that is being imported is not meant: what it raises passes through the
// import system in order.
constexpr std::string_view import_system[] = {"<frozen importlib._bootstrap>",
                                              "<frozen importlib._bootstrap_external>"};

// An event loop's own: an exception there loses a callback that has just left the queue, or a file that belongs to no
// object yet, and a task waits for ever.
constexpr std::string_view loop_machinery[] = {"/asyncio/",         "/selectors.py",     "/socket.py",
                                               "/erlang/_loop.py",  "/erlang/_beam.py",  "/erlang/_tasks.py",
                                               "/erlang/_reactor_", "/erlang/reactor.py"};

// How long an interrupt leaves it to the loop to raise it when it looks for events next, which it does at once unless
// a callback goes on and on. Without a GIL nobody can see what the thread does, so there is more time, and what counts
// is the time that it has run: it may be kept from running at any place.
constexpr std::chrono::milliseconds left_to_loop{py::compat::has_gil ? 4 : 20};
// What is found in a loop's own files so long after that is a callback in C, and what has not run meanwhile sleeps.
constexpr std::chrono::seconds left_to_machinery{1};

// How long an interrupt waits for what is soon done, in which finalizers may run that are anybody's code.
constexpr std::chrono::seconds left_to_uninterruptible{2};

// With interrupt_mutex.
bool must_not_be_interrupted(const ep_interp &interp) {
    return interp.import_locks != 0 ||
           (interp.uninterruptible != 0 && std::chrono::steady_clock::now() < interp.uninterruptible_until);
}

// With interrupt_mutex.
bool leave_to_loop(ep_interp &interp) {
    const auto now = std::chrono::steady_clock::now();
    if (interp.deferred.exchange(interp.running) != interp.running) {
        interp.deferred_at = now;
        interp.had_run = py::compat::has_gil ? std::chrono::nanoseconds{} : processor_time_of(interp.thread->thread_id);
    }
    if (now < interp.deferred_at + left_to_loop) {
        return true;
    }
    if (now >= interp.deferred_at + left_to_loop + left_to_machinery) {
        return false;
    }
    return py::compat::has_gil ? runs_code_of(interp.thread, loop_machinery)
                               : processor_time_of(interp.thread->thread_id) < interp.had_run + left_to_loop;
}

// With interrupt_mutex.
void set_interrupted(ep_interp &interp) {
    py::compat::set_async_exception(interp.thread, interp.interpreter->state->interrupted.get());
    interp.interrupted = interp.running;
    interp.reached = interp.running;
    interp.deferred = 0;
}

// What is on its way to the thread. With interrupt_mutex.
void take_back(ep_interp &interp) {
    if (std::exchange(interp.interrupted, 0) != 0) {
        py::compat::set_async_exception(interp.thread, nullptr);
    }
}

} // namespace

bool raise_interrupted(ep_interp &interp, uint64_t serial) {
    std::lock_guard lock{interp.interrupt_mutex};
    // With a GIL its thread does not run now, and can be looked at; without one it says itself what it does.
    const bool wrong_moment = py::compat::has_gil ? runs_code_of(interp.thread, import_system) : interp.importing;
    if (interp.running != serial || wrong_moment || must_not_be_interrupted(interp)) {
        return false;
    }
    if (std::exchange(interp.told, 0) == serial) {
        return true; // once is enough for now: it is cleaning up
    }
    if (interp.looping == serial && leave_to_loop(interp)) {
        return false;
    }
    set_interrupted(interp);
    return true;
}

bool Importing::enter(bool importing) {
    if (interp_ == nullptr) {
        return true;
    }
    std::lock_guard lock{interp_->interrupt_mutex};
    before_ = std::exchange(interp_->importing, importing);
    entered_ = true;
    if (!importing || interp_->interrupted == 0 || !py::compat::async_exception_pending(interp_->thread)) {
        return true;
    }
    py::compat::set_async_exception(interp_->thread, nullptr);
    PyErr_SetNone(interp_->interpreter->state->interrupted.get());
    return false;
}

PyObject *Importing::leave(PyObject *result) {
    if (!entered_) {
        return result;
    }
    {
        std::lock_guard lock{interp_->interrupt_mutex};
        interp_->importing = before_;
        if (!before_ || interp_->interrupted == 0 || !py::compat::async_exception_pending(interp_->thread)) {
            return result;
        }
        py::compat::set_async_exception(interp_->thread, nullptr);
    }
    // Here and now, and not somewhere in the import system, which the thread goes back to.
    if (result != nullptr) {
        Py_DECREF(result);
        PyErr_SetNone(interp_->interpreter->state->interrupted.get());
    }
    return nullptr;
}

bool enter_uninterruptible(unsigned ep_interp::*depth) {
    ep_interp *interp = current_interp();
    if (interp == nullptr) {
        return true;
    }
    std::lock_guard lock{interp->interrupt_mutex};
    if (interp->interrupted != 0 && py::compat::async_exception_pending(interp->thread)) {
        py::compat::set_async_exception(interp->thread, nullptr);
        PyErr_SetNone(interp->interpreter->state->interrupted.get());
        return false;
    }
    if (depth == &ep_interp::uninterruptible && interp->uninterruptible == 0) {
        interp->uninterruptible_until = std::chrono::steady_clock::now() + left_to_uninterruptible;
    }
    ++(interp->*depth);
    return true;
}

void leave_uninterruptible(unsigned ep_interp::*depth) {
    if (ep_interp *interp = current_interp()) {
        std::lock_guard lock{interp->interrupt_mutex};
        interp->*depth -= interp->*depth != 0 ? 1 : 0;
    }
}

void forget_interrupt(ep_interp &interp) {
    std::lock_guard lock{interp.interrupt_mutex};
    interp.told = interp.running;
    interp.reached = interp.running;
    interp.deferred = 0;
    take_back(interp);
}

bool take_deferred(ep_interp &interp) {
    if (interp.looping.load() != interp.running) {
        interp.looping.store(interp.running);
    }
    if (interp.deferred.load() == 0) { // each time a loop looks for events
        return false;
    }
    return interp.deferred.exchange(0) == interp.running;
}

bool was_interrupted(ep_interp &interp) {
    return interp.running != 0 && interp.reached.load() == interp.running;
}

Running::Running(ep_interp &interp, uint64_t serial)
    : interp_(interp), between_callbacks_(std::exchange(interp.between_callbacks, false)) {
    std::lock_guard lock{interp_.interrupt_mutex};
    if (interp_.interrupted != 0 && py::compat::async_exception_pending(interp_.thread)) {
        interp_.reached = 0; // it has not, and does not now
    }
    take_back(interp_);
    below_ = std::exchange(interp_.running, serial);
    reached_below_ = interp_.reached.exchange(0);
    told_below_ = std::exchange(interp_.told, 0);
    // Each request comes by here, and only this thread sets it.
    looping_below_ = interp_.looping.load(std::memory_order_relaxed);
    if (looping_below_ != 0) {
        interp_.looping.store(0, std::memory_order_relaxed);
    }
    importing_below_ = std::exchange(interp_.importing, false);
    import_locks_below_ = std::exchange(interp_.import_locks, 0);
    uninterruptible_below_ = std::exchange(interp_.uninterruptible, 0);
}

Running::~Running() {
    std::lock_guard lock{interp_.interrupt_mutex};
    take_back(interp_);
    interp_.told = told_below_;
    if (interp_.looping.load(std::memory_order_relaxed) != looping_below_) {
        interp_.looping.store(looping_below_, std::memory_order_relaxed);
    }
    interp_.running = below_;
    interp_.reached = reached_below_;
    interp_.importing = importing_below_;
    interp_.import_locks = import_locks_below_;
    interp_.uninterruptible = uninterruptible_below_;
    interp_.between_callbacks = between_callbacks_;
}

PyObject *uninterruptible(PyObject *, PyObject *const *args, Py_ssize_t count) noexcept {
    if (count == 0) {
        PyErr_SetString(PyExc_TypeError, "uninterruptible() takes a callable and its arguments");
        return nullptr;
    }
    if (!enter_uninterruptible(&ep_interp::uninterruptible)) {
        return nullptr;
    }
    PyObject *result = PyObject_Vectorcall(args[0], args + 1, static_cast<size_t>(count - 1), nullptr);
    leave_uninterruptible(&ep_interp::uninterruptible);
    return result;
}

} // namespace ep
