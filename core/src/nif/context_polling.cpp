// An event loop that runs on a context's thread: it waits for files and for the context's inbox at once.
#include "context.hpp"
#include "core.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace ep {

namespace {

// How long a loop sleeps at once that was interrupted: what interrupts it again does not wake it.
constexpr int64_t cleaning_nanoseconds = 20'000'000;

} // namespace

int Context::poll_fd() noexcept {
    return wake_fd_.open() ? wake_fd_.fd() : -1;
}

uint32_t Context::poll(ep_sleep sleep, void *argument, int64_t nanoseconds, uint32_t flags) {
    if (!serving_) {
        return EP_POLL_INTERRUPTED;
    }
    Request *const request = running_.empty() ? nullptr : running_.back(); // ends a finalizer's loop as well
    bool idle = false;
    {
        std::lock_guard lock{queue_mutex_};
        idle = ready_.empty() && inbox_.empty();
        if (request != nullptr && !request->polls) {
            request->polls = true;
            waits_.fetch_add(1); // until it is over: whom it asks may call before the loop sleeps
        }
    }
    const bool interrupted = request != nullptr && request->interrupted.load() && (flags & EP_POLL_CLEANING) == 0;
    if (idle && nanoseconds == 0 && !interrupted) { // a loop that has work of its own only looks
        const int32_t ready = sleep(argument, 0);
        return ready > 0 ? EP_POLL_READY : ready == 0 || errno == EINTR ? 0 : EP_POLL_FAILED;
    }
    Frame frame = make_frame();
    begin_wait(frame);
    const uint32_t outcome = poll(request, sleep, argument, nanoseconds, flags);
    end_wait();
    return outcome;
}

uint32_t Context::poll(Request *request, ep_sleep sleep, void *argument, int64_t nanoseconds, uint32_t flags) {
    const bool cleaning = (flags & EP_POLL_CLEANING) != 0;
    if (cleaning && (nanoseconds < 0 || nanoseconds > cleaning_nanoseconds)) {
        nanoseconds = cleaning_nanoseconds;
    }
    Parker::Deadline deadline;
    if (nanoseconds > 0) {
        deadline = Clock::now() + std::chrono::nanoseconds{nanoseconds};
    }
    for (;;) {
        receive();
        pass_on_wakes();
        run_releases();
        if (!cleaning && (stopping() || (request != nullptr && request->interrupted.load()))) {
            return EP_POLL_INTERRUPTED;
        }
        if (has_ready(flags)) {
            return EP_POLL_REQUESTS;
        }
        int32_t ready = 0;
        if (nanoseconds == 0) {
            ready = sleep(argument, 0);
        } else {
            const bool had_slot = request != nullptr && request->has_slot;
            if (had_slot) {
                release_slot(request, nullptr);
            }
            forget_answers();
            detach();
            int error = 0;
            const bool came = woken_ && !stopping() && inbox_.spin();
            if (!came) {
                if (inbox_.begin_poll(wake_fd_) || (cleaning && stopping())) { // else nobody wakes it any more
                    ready = sleep(argument, nanoseconds);
                    error = errno;
                }
                inbox_.end_poll();
                woken_ = !inbox_.empty();
            }
            if (had_slot) {
                core().semaphore.retake();
                request->has_slot = true;
            }
            attach();
            errno = error;
        }
        if (ready > 0) {
            return EP_POLL_READY;
        }
        if (ready < 0 && errno != EINTR) {
            return EP_POLL_FAILED;
        }
        wake_fd_.drain();
        if (nanoseconds >= 0) {
            const auto left = deadline ? *deadline - Clock::now() : Clock::duration{};
            nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
            if (nanoseconds <= 0) {
                return 0;
            }
        }
    }
}

Context::Admit Context::polling_admits(uint32_t flags) const noexcept {
    // They run on top of the loop, and a loop of theirs on top of that: there is a bound.
    const bool all = (flags & EP_POLL_ALL) != 0 && !frames_.back()->alone && frames_.size() < crowded_depth;
    return all ? Admit::all : Admit::involved;
}

bool Context::has_ready(uint32_t flags) const {
    if (frames_.size() >= max_depth) {
        return false;
    }
    std::lock_guard lock{queue_mutex_};
    return polling_admits(flags) == Admit::all
               ? !ready_.empty()
               : ready_.any([this](const Request *request) { return involved(request); });
}

void Context::serve_requests(uint32_t flags) {
    if (!serving_) {
        return;
    }
    Frame frame = make_frame();
    begin_wait(frame);
    const Admit admit = polling_admits(flags);
    const Clock::time_point begin = Clock::now();
    auto goes_on = [=](uint32_t served) {
        return served % polled_bound != 0 || served == 0 ||
               (served < quick_polled_bound && Clock::now() < begin + quick_polled_time);
    };
    for (uint32_t i = 0; goes_on(i); ++i) {
        Request *request = next(admit);
        if (request == nullptr) {
            break;
        }
        serve(request);
    }
    end_wait();
    forget_answers();
    attach(); // one may have let go of the interpreter
}

} // namespace ep
