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

PyObject *refuse_fork_exec(PyObject *, PyObject *, PyObject *) {
    PyErr_Format(PyExc_RuntimeError, message, "_posixsubprocess.fork_exec");
    return nullptr;
}

PyObject *refuse_forkpty(PyObject *, PyObject *, PyObject *) {
    PyErr_Format(PyExc_RuntimeError, message, "os.forkpty");
    return nullptr;
}

PyMethodDef blocked_fork_exec = {"fork_exec", py::as_function(refuse_fork_exec), METH_VARARGS | METH_KEYWORDS,
                                 "Blocked: it forks."};
PyMethodDef blocked_forkpty = {"forkpty", py::as_function(refuse_forkpty), METH_VARARGS | METH_KEYWORDS,
                               "Blocked: it forks."};

} // namespace

void install_sandbox() {
    if (PySys_AddAuditHook(hook, nullptr) != 0) {
        throw std::runtime_error{"the audit hook cannot be installed"};
    }
}

void replace_function(PyObject *module, const char *name, PyMethodDef &refusal) {
    py::Ref original = py::Ref::steal(PyObject_GetAttrString(module, name));
    if (!original) {
        PyErr_Clear();
        return;
    }
    // A module that is removed from sys.modules and imported again is made from the same definition, as those of other
    // interpreters are: so that is changed, too, before there are any.
    if (PyCFunction_Check(original.get())) {
        PyMethodDef *definition = reinterpret_cast<PyCFunctionObject *>(original.get())->m_ml;
        if (definition->ml_meth != refusal.ml_meth) {
            definition->ml_meth = refusal.ml_meth;
            definition->ml_flags = refusal.ml_flags;
        }
    }
    py::Ref function = py::Ref::check(PyCFunction_New(&refusal, nullptr));
    py::check(PyObject_SetAttrString(module, name, function.get()));
}

namespace {

// A Python without the module or the function has nothing to close.
void replace(const char *module_name, const char *name, PyMethodDef &refusal) {
    py::Ref module = py::Ref::steal(PyImport_ImportModule(module_name));
    if (module) {
        replace_function(module.get(), name, refusal);
    }
    PyErr_Clear();
}

} // namespace

void close_sandbox_gaps() {
    // multiprocessing reaches it without an event of its own.
    replace("_posixsubprocess", "fork_exec", blocked_fork_exec);
    // In other interpreters than the main one it is refused before there is an event, and in other words.
    replace("posix", "forkpty", blocked_forkpty);
    replace("os", "forkpty", blocked_forkpty);
}

} // namespace ep
