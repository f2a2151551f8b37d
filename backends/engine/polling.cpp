// What an event loop on a context's thread waits with.
#include "functions.hpp"
#include "task_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>

#if defined(__linux__)
#include <sys/epoll.h>
#else
#include <poll.h>
#endif

namespace ep {

namespace {

// Longer waits are none that anybody sees the end of.
constexpr double longest_wait = 1e9;

// -1: no timeout.
int64_t nanoseconds(PyObject *timeout) {
    if (timeout == Py_None) {
        return -1;
    }
    const double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) {
        throw py::Raised{};
    }
    if (!(seconds > 0)) { // nor a number
        return 0;
    }
    return seconds < longest_wait ? static_cast<int64_t>(std::ceil(seconds * 1e9)) : -1;
}

int milliseconds(int64_t nanoseconds) noexcept {
    constexpr int64_t longest = 1'000'000'000;
    return nanoseconds < 0 ? -1 : static_cast<int>(std::min((nanoseconds + 999'999) / 1'000'000, longest));
}

#if defined(__linux__)

// A selector's epoll, which watches poll_fd as well.
struct Sleep {
    static constexpr int most = 256;
    int fd;
    int wake;
    int count = 0;
    epoll_event events[most];

    static int32_t call(void *argument, int64_t nanoseconds) {
        auto *self = static_cast<Sleep *>(argument);
        const int found = epoll_wait(self->fd, self->events, most, milliseconds(nanoseconds));
        self->count = found < 0 ? 0 : found;
        int32_t others = found;
        for (int i = 0; i < found; ++i) {
            others -= self->events[i].data.fd == self->wake ? 1 : 0;
        }
        return others;
    }
};

constexpr long read_event = 1, write_event = 2; // selectors.EVENT_*

// [(key, events)], as EpollSelector.select() gives. A tuple: the kernel also watches a file that the selector does not
// know.
py::Ref ready_list(const Sleep &sleep, PyObject *keys) {
    py::Ref list = py::Ref::check(PyList_New(0));
    bool has_stranger = false;
    for (int i = 0; i < sleep.count; ++i) {
        const epoll_event &event = sleep.events[i];
        py::Ref fd = py::Ref::check(PyLong_FromLong(event.data.fd));
        PyObject *found = nullptr;
        if (py::check(py::compat::dict_get(keys, fd.get(), &found)) == 0) {
            has_stranger = has_stranger || event.data.fd != sleep.wake;
            continue;
        }
        py::Ref key = py::Ref::steal(found);
        if (!PyTuple_Check(found) || PyTuple_GET_SIZE(found) < 3) {
            py::raise(PyExc_TypeError, "a selector's keys are SelectorKey");
        }
        const long wanted = PyLong_AsLong(PyTuple_GET_ITEM(found, 2));
        if (wanted == -1 && PyErr_Occurred()) {
            throw py::Raised{};
        }
        const uint32_t bits = event.events;
        const long is =
            ((bits & ~uint32_t{EPOLLIN}) != 0 ? write_event : 0) | ((bits & ~uint32_t{EPOLLOUT}) != 0 ? read_event : 0);
        if ((is & wanted) != 0) {
            py::Ref pair = py::Ref::check(Py_BuildValue("(Ol)", found, is & wanted));
            py::check(PyList_Append(list.get(), pair.get()));
        }
    }
    if (has_stranger) {
        return py::Ref::check(PyList_AsTuple(list.get()));
    }
    return list;
}

#else

// A selector's own file descriptor, and poll_fd beside it. What is ready the selector says itself.
struct Sleep {
    int fd;
    int wake;

    static int32_t call(void *argument, int64_t nanoseconds) {
        auto *self = static_cast<Sleep *>(argument);
        pollfd files[2] = {{self->fd, POLLIN, 0}, {self->wake, POLLIN, 0}};
        const int found = poll(files, 2, milliseconds(nanoseconds));
        return found > 0 ? files[0].revents != 0 : found;
    }
};

py::Ref ready_list(const Sleep &, PyObject *) {
    return py::Ref::borrow(Py_False);
}

#endif

} // namespace

PyObject *poll_fd(PyObject *, PyObject *) noexcept {
    return guarded([&] {
        ep_interp *interp = current_interp();
        if (interp == nullptr) {
            return py::Ref::borrow(Py_None);
        }
        const int fd = engine().host->poll_fd(interp->context);
        if (fd == -1) {
            PyErr_SetFromErrno(PyExc_OSError);
            throw py::Raised{};
        }
        return py::Ref::check(Py_BuildValue("(iK)", fd, static_cast<unsigned long long>(interp->id)));
    });
}

PyObject *poll_files(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        if (count != 5) {
            py::raise(PyExc_TypeError,
                      "poll() takes a file descriptor, a context, a dict, a timeout and whether all are served");
        }
        ep_interp *interp = current_interp();
        Sleep sleep{};
        sleep.fd = PyObject_AsFileDescriptor(args[0]);
        const unsigned long long context = sleep.fd == -1 ? 0 : PyLong_AsUnsignedLongLong(args[1]);
        if (PyErr_Occurred()) {
            throw py::Raised{};
        }
        // Not by its file descriptor, which has been another's when that context is gone.
        if (interp == nullptr || context != interp->id) {
            return py::Ref::borrow(Py_None);
        }
        sleep.wake = engine().host->poll_fd(interp->context);
        if (sleep.wake == -1) {
            PyErr_SetFromErrno(PyExc_OSError);
            throw py::Raised{};
        }
        if (!PyDict_Check(args[2])) {
            py::raise(PyExc_TypeError, "a selector's keys are a dict, not %.100s", Py_TYPE(args[2])->tp_name);
        }
        const bool serves_all = args[4] == Py_True;
        if (take_deferred(*interp)) {
            forget_interrupt(*interp);
            py::raise(state_of(module).interrupted.get(), "interrupted while an event loop looked for events");
        }
        const uint32_t flags = (serves_all ? EP_POLL_ALL : 0) | (was_interrupted(*interp) ? EP_POLL_CLEANING : 0);
        const uint32_t came = engine().host->poll(interp->context, Sleep::call, &sleep, nanoseconds(args[3]), flags);
        if ((came & EP_POLL_INTERRUPTED) != 0) {
            forget_interrupt(*interp); // raised here and now instead
            py::raise(state_of(module).interrupted.get(), "interrupted while an event loop waited");
        }
        if ((came & EP_POLL_FAILED) != 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            throw py::Raised{};
        }
        if ((came & EP_POLL_REQUESTS) != 0) {
            const std::shared_ptr<TaskLoop> tasks =
                serves_all ? interp->task_loop : nullptr; // what is served may end it
            interp->between_callbacks = tasks != nullptr;
            engine().host->serve_requests(interp->context, flags & EP_POLL_ALL);
            interp->between_callbacks = false;
            if (tasks) {
                tasks->set_running(true); // whatever they have made of it
            }
            Sleep::call(&sleep, 0); // what they closed is not reported any more
        }
        return ready_list(sleep, args[2]);
    });
}

} // namespace ep
