// The memory of a Python object, by the buffer protocol.
#pragma once

#include "ref.hpp"

namespace ep {

// While it lives the object cannot move or resize what it shows. Attached.
class Buffer {
public:
    // `flags`: PyBUF_*. Empty when the object has no such buffer, with Python's exception set.
    Buffer(PyObject *object, int flags) noexcept : held_(PyObject_GetBuffer(object, &view_, flags) == 0) {}
    ~Buffer() {
        if (held_) {
            PyBuffer_Release(&view_);
        }
    }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    explicit operator bool() const noexcept { return held_; }
    const Py_buffer &operator*() const noexcept { return view_; }
    const Py_buffer *operator->() const noexcept { return &view_; }

private:
    Py_buffer view_{};
    bool held_;
};

} // namespace ep
