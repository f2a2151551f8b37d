// Refuses what would corrupt the VM: fork leaves a child with one of its threads, exec ends it.
//
// The hook is C, and installed before Python is initialised: Python code can neither remove it nor run before it
// (PEP 578).
#include "engine.hpp"

#include <cstring>

namespace ep {

namespace {

// Audit events, https://docs.python.org/3/library/audit_events.html
constexpr const char *refused[] = {
    "os.fork", "os.forkpty", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "subprocess.Popen", "pty.spawn",
};

constexpr const char *message = "%s is blocked in Erlang VM context. A fork() or exec() here would corrupt the VM. "
                                "Use an Erlang port (open_port/2) to run a program.";

int hook(const char *event, PyObject *, void *) {
    if (std::strcmp(event, "import") == 0) {
        return note_import() ? 0 : -1;
    }
    if (event[0] != 'o' && event[0] != 's' && event[0] != 'p') {
        return 0;
    }
    for (const char *name : refused) {
        if (std::strcmp(event, name) == 0) {
            PyErr_Format(PyExc_RuntimeError, message, name);
            return -1;
        }
    }
    return 0;
}

PyObject *blocked(PyObject *, PyObject *, PyObject *) {
    PyErr_Format(PyExc_RuntimeError, message, "_posixsubprocess.fork_exec");
    return nullptr;
}

PyMethodDef blocked_method = {"fork_exec", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(blocked)),
                              METH_VARARGS | METH_KEYWORDS, "Blocked: it forks."};

} // namespace

void install_sandbox() {
    if (PySys_AddAuditHook(hook, nullptr) != 0) {
        throw std::runtime_error{"the audit hook cannot be installed"};
    }
}

// multiprocessing reaches fork_exec without an event of its own.
void close_sandbox_gaps() {
    PyObject *module = PyImport_ImportModule("_posixsubprocess");
    if (module == nullptr) {
        PyErr_Clear(); // a Python without it has nothing to close
        return;
    }
    py::Ref owned = py::Ref::steal(module);
    // A module that is removed from sys.modules and imported again is made from the same definition: so that is changed,
    // too.
    py::Ref original = py::Ref::check(PyObject_GetAttrString(module, "fork_exec"));
    if (PyCFunction_Check(original.get())) {
        PyMethodDef *definition = reinterpret_cast<PyCFunctionObject *>(original.get())->m_ml;
        if (definition != &blocked_method) {
            definition->ml_meth = blocked_method.ml_meth;
            definition->ml_flags = blocked_method.ml_flags;
        }
    }
    py::Ref function = py::Ref::check(PyCFunction_New(&blocked_method, nullptr));
    py::check(PyObject_SetAttrString(module, "fork_exec", function.get()));
}

} // namespace ep
