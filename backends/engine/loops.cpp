// What a selector stands on that leaves it to the VM to watch files (erlang/_beam.py).
#include "functions.hpp"
#include "term_object.hpp"

#include <cerrno>
#include <climits>

namespace ep {

namespace {

constexpr const char *capsule_name = "erlang.event_loop";

void release(PyObject *capsule) {
    engine().host->loop_release(static_cast<ep_event_loop *>(PyCapsule_GetPointer(capsule, capsule_name)));
}

ep_event_loop *loop_of(PyObject *capsule) {
    void *loop = PyCapsule_GetPointer(capsule, capsule_name);
    if (loop == nullptr) {
        throw py::Raised{};
    }
    return static_cast<ep_event_loop *>(loop);
}

// A loop, a file descriptor and, where it is wanted, a set of directions.
struct Watched {
    ep_event_loop *loop;
    int fd;
    uint32_t directions = 0;
    Watched(PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted) {
        if (count != wanted) {
            py::raise(PyExc_TypeError, "expected %zd arguments, got %zd", wanted, count);
        }
        loop = loop_of(args[0]);
        const long number = PyLong_AsLong(args[1]);
        const long set = number == -1 && PyErr_Occurred() ? -1 : wanted == 3 ? PyLong_AsLong(args[2]) : 0;
        if (PyErr_Occurred()) {
            throw py::Raised{};
        }
        if (number < INT_MIN || number > INT_MAX) {
            py::raise(PyExc_OverflowError, "a file descriptor is a C int, not %ld", number);
        }
        fd = static_cast<int>(number);
        directions = static_cast<uint32_t>(set);
    }
};

// None, or an OSError.
py::Ref outcome(int32_t error) {
    if (error != 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        throw py::Raised{};
    }
    return py::Ref::borrow(Py_None);
}

} // namespace

PyObject *loop_new(PyObject *, PyObject *) noexcept {
    return guarded([&] {
        ep_event_loop *loop = engine().host->loop_new();
        if (loop == nullptr) {
            outcome(errno);
        }
        PyObject *capsule = PyCapsule_New(loop, capsule_name, release);
        if (capsule == nullptr) {
            engine().host->loop_release(loop);
        }
        return py::Ref::check(capsule);
    });
}

PyObject *loop_term(PyObject *module, PyObject *loop) noexcept {
    return guarded([&] {
        struct Box {
            TermBox *box = new TermBox;
            ~Box() { box->release(); }
        } shared;
        const ERL_NIF_TERM term = engine().host->loop_term(shared.box->env(), loop_of(loop));
        return make_term_object(state_of(module).ref.get(), term, shared.box);
    });
}

PyObject *loop_close(PyObject *, PyObject *loop) noexcept {
    return guarded([&] {
        engine().host->loop_close(loop_of(loop));
        return py::Ref::borrow(Py_None);
    });
}

PyObject *loop_fd(PyObject *, PyObject *loop) noexcept {
    return guarded([&] { return py::Ref::check(PyLong_FromLong(engine().host->loop_fd(loop_of(loop)))); });
}

PyObject *loop_watch(PyObject *, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        const Watched file{args, count, 3};
        return outcome(engine().host->loop_watch(file.loop, file.fd, file.directions));
    });
}

PyObject *loop_change(PyObject *, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        const Watched file{args, count, 3};
        return outcome(engine().host->loop_change(file.loop, file.fd, file.directions));
    });
}

PyObject *loop_forget(PyObject *, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        const Watched file{args, count, 2};
        PyThreadState *thread = PyEval_SaveThread();
        const int32_t error = engine().host->loop_forget(file.loop, file.fd);
        PyEval_RestoreThread(thread);
        return outcome(error);
    });
}

PyObject *loop_rearm(PyObject *, PyObject *loop) noexcept {
    return guarded([&] {
        engine().host->loop_rearm(loop_of(loop));
        return py::Ref::borrow(Py_None);
    });
}

PyObject *loop_take(PyObject *, PyObject *loop) noexcept {
    return guarded([&] {
        ep_ready ready[256];
        const int32_t count = engine().host->loop_take(loop_of(loop), ready, std::size(ready));
        if (count < 0) {
            return py::Ref::borrow(Py_None);
        }
        py::Ref list = py::Ref::check(PyList_New(count));
        for (int32_t i = 0; i < count; ++i) {
            PyList_SET_ITEM(list.get(), i,
                            py::Ref::check(Py_BuildValue("(iI)", ready[i].fd, ready[i].directions)).release());
        }
        return list;
    });
}

} // namespace ep
