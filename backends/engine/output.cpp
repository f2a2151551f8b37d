// What code prints: sys.stdout and sys.stderr are objects of erlang/_output.py, which keep text until a line is whole.
#include "functions.hpp"

namespace ep {

Printing::~Printing() {
    if (interp_.printed) {
        py::Ref::steal(PyObject_CallNoArgs(interp_.printed.get()));
        PyErr_Clear(); // it may have been interrupted
    }
    interp_.printed = std::move(below_);
}

PyObject *of_request(PyObject *, PyObject *make) noexcept {
    return guarded([&] {
        ep_interp *interp = current_interp();
        if (interp == nullptr) {
            return py::Ref::borrow(Py_None);
        }
        if (!interp->printed) {
            py::Ref made = py::Ref::check(PyObject_CallNoArgs(make));
            if (!interp->printed) { // a finalizer may have printed meanwhile
                interp->printed = std::move(made);
            }
        }
        return interp->printed.copy();
    });
}

} // namespace ep
