// References to Python objects whose ownership is in their type.
#pragma once

#include "compat.hpp"

#include <utility>

namespace py {

// Thrown when Python's error indicator is set.
struct Raised {};

// Owns one reference. Only `steal` and `borrow` make one from a pointer.
class Ref {
public:
    Ref() = default;
    static Ref steal(PyObject *object) noexcept { return Ref{object}; }
    static Ref borrow(PyObject *object) noexcept {
        Py_XINCREF(object);
        return Ref{object};
    }
    // The result of an API call that returns a new reference, or fails.
    static Ref check(PyObject *object) {
        if (object == nullptr) {
            throw Raised{};
        }
        return Ref{object};
    }

    Ref(Ref &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Ref &operator=(Ref &&other) noexcept {
        PyObject *old = std::exchange(object_, std::exchange(other.object_, nullptr));
        Py_XDECREF(old); // last: it may run Python
        return *this;
    }
    Ref(const Ref &) = delete;
    Ref &operator=(const Ref &) = delete;
    ~Ref() { Py_XDECREF(object_); }

    PyObject *get() const noexcept { return object_; }
    PyObject *release() noexcept { return std::exchange(object_, nullptr); }
    Ref copy() const noexcept { return borrow(object_); }
    explicit operator bool() const noexcept { return object_ != nullptr; }

private:
    explicit Ref(PyObject *object) noexcept : object_(object) {}
    PyObject *object_ = nullptr;
};

// A status an API call returns: negative is an exception.
inline int check(int status) {
    if (status < 0) {
        throw Raised{};
    }
    return status;
}

// What a PyMethodDef holds, whatever its flags say of the arguments.
template <class Function> PyCFunction as_function(Function function) noexcept {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// Raises and throws.
template <class... Arguments> [[noreturn]] void raise(PyObject *exception, const char *format, Arguments... arguments) {
    PyErr_Format(exception, format, arguments...);
    throw Raised{};
}

} // namespace py
