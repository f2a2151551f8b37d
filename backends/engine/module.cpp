// The module _erlang: what the package erlang is made of.
#include "functions.hpp"

#include <string>

namespace ep {

namespace {

PyObject *is_registered(PyObject *, PyObject *name) noexcept {
    return guarded([&] {
        if (!PyUnicode_Check(name)) {
            return py::Ref::borrow(Py_False);
        }
        std::string_view text = utf8(name);
        return py::Ref::borrow(engine().host->is_registered(text.data(), text.size()) ? Py_True : Py_False);
    });
}

PyObject *log(PyObject *, PyObject *args) noexcept {
    return guarded([&] {
        int level = 0;
        const char *text = nullptr;
        Py_ssize_t size = 0;
        if (!PyArg_ParseTuple(args, "is#", &level, &text, &size)) {
            throw py::Raised{};
        }
        engine().host->log(level, text, static_cast<size_t>(size));
        return py::Ref::borrow(Py_None);
    });
}

// The types of what functions return in place of a result.
PyObject *set_schedule_markers(PyObject *module, PyObject *const *args, Py_ssize_t count) noexcept {
    return guarded([&] {
        ModuleState &state = state_of(module);
        if (count != ModuleState::marker_kinds || state.schedule_markers[0] != nullptr) {
            py::raise(PyExc_TypeError, "set_schedule_markers() takes %zu types, once", ModuleState::marker_kinds);
        }
        for (Py_ssize_t i = 0; i < count; ++i) {
            std::atomic_ref{state.schedule_markers[i]}.store(Py_NewRef(args[i]), std::memory_order_release);
        }
        return py::Ref::borrow(Py_None);
    });
}

PyMethodDef methods[] = {
    {"call", py::as_function(call_function), METH_FASTCALL,
     "call(name, *args)\n--\n\nCall the Erlang function registered under that name and return its result."},
    {"call_alone", py::as_function(call_function_alone), METH_FASTCALL,
     "call_alone(name, *args)\n--\n\nThe same, but strangers are not served by this context meanwhile, "
     "and code that was interrupted gets None and not the exception again."},
    {"send", py::as_function(send_message), METH_FASTCALL,
     "send(destination, message)\n--\n\nSend a message to an Erlang process. Does not wait."},
    {"whereis", whereis, METH_O, "whereis(name)\n--\n\nThe pid registered under that name, or None."},
    {"atom", make_atom_object, METH_O, "atom(name)\n--\n\nThe Erlang atom of that name; the same object each time."},
    {"is_registered", is_registered, METH_O, "is_registered(name)\n--\n\nWhether such a function is registered."},
    {"log", log, METH_VARARGS, "log(level, text)\n--\n\nWrite a line to Erlang's logger; 0 is error, 3 is debug."},
    {"feed", py::as_function(feed_message), METH_FASTCALL,
     "feed(feed, message)\n--\n\nTell the process that reads a feed. False: nobody reads it, or it was dropped."},
    {"feed_is_open", feed_is_open, METH_O, "feed_is_open(feed)\n--\n\nWhether a process reads it."},
    {"of_request", of_request, METH_O,
     "of_request(make)\n--\n\nWhat the running request has printed and not sent: made by make() when there is nothing "
     "yet, and called at the end of the request. None where no context runs."},
    {"uninterruptible", py::as_function(uninterruptible), METH_FASTCALL,
     "uninterruptible(function, *args)\n--\n\nCall it, and have interrupts of this request wait until it returns, which "
     "it does soon: for what would otherwise leave a file open, or a lock taken."},
    {"poll_fd", poll_fd, METH_NOARGS,
     "poll_fd()\n--\n\nA file descriptor that is readable when this thread is wanted, to be watched for poll(), and "
     "the number of its context. None: it is no context's."},
    {"poll", py::as_function(poll_files), METH_FASTCALL,
     "poll(fd, context, keys, timeout, all)\n--\n\nFor an event loop: sleep until files of the selector fd are ready, "
     "requests have come, which are served then, or the timeout, in seconds or None, is over. The list of what is "
     "ready, as select() gives it, or False: select() is to say that; None, at once: context is another thread's. With "
     "all the requests are anybody's, else of those that the running one depends on."},
    {"loop_inbox", loop_inbox, METH_NOARGS,
     "loop_inbox()\n--\n\nWhere the answers of call_async() come in, and a file descriptor that is readable while there "
     "are any."},
    {"close_inbox", close_inbox, METH_O, "close_inbox(inbox)\n--\n\nClose that. Answers that come later are dropped."},
    {"call_async", py::as_function(call_async), METH_FASTCALL,
     "call_async(inbox, number, name, *args)\n--\n\nAs call(), whose answer comes to the inbox under this number."},
    {"take_answers", py::as_function(take_answers), METH_FASTCALL,
     "take_answers(inbox, list)\n--\n\nAppend (number, value or None, exception or None) for some answers that have come. "
     "False: there was none, and the file descriptor is readable no more."},
    {"answer_task", py::as_function(answer_task), METH_FASTCALL,
     "answer_task(task, value)\n--\n\nSend the result of a task to its creator. False: it is over already."},
    {"fail_task", py::as_function(fail_task), METH_FASTCALL,
     "fail_task(task, reason)\n--\n\nThe same for an error: an exception, or any other value."},
    {"task_is_open", task_is_open, METH_O, "task_is_open(task)\n--\n\nWhether its creator waits for it."},
    {"take_tasks", py::as_function(take_tasks), METH_FASTCALL,
     "take_tasks(tasks, set_running_loop, task_type, current_tasks)\n--\n\nHave the context of this thread give what is "
     "submitted to a TaskLoop, beginning tasks of asyncio itself where current_tasks is not None. Without arguments, to "
     "none."},
    {"loop_new", loop_new, METH_NOARGS,
     "loop_new()\n--\n\nFiles that the VM watches for one selector. They need a worker, a process of Erlang."},
    {"loop_term", loop_term, METH_O, "loop_term(loop)\n--\n\nThe reference that Erlang knows it by."},
    {"loop_close", loop_close, METH_O, "loop_close(loop)\n--\n\nLet go of all files. Any number of times."},
    {"loop_fd", loop_fd, METH_O,
     "loop_fd(loop)\n--\n\nA file descriptor that is readable when loop_take() has something to say."},
    {"loop_watch", py::as_function(loop_watch), METH_FASTCALL,
     "loop_watch(loop, fd, events)\n--\n\nWatch a copy of a file. ProcessLookupError: there is no worker."},
    {"loop_change", py::as_function(loop_change), METH_FASTCALL,
     "loop_change(loop, fd, events)\n--\n\nWatch it for other events. ProcessLookupError: it is not watched."},
    {"loop_forget", py::as_function(loop_forget), METH_FASTCALL,
     "loop_forget(loop, fd)\n--\n\nWatch it no more. The copy is closed when this returns, or soon."},
    {"loop_rearm", loop_rearm, METH_O,
     "loop_rearm(loop)\n--\n\nBefore waiting: have the VM look at what was watched, changed or taken since."},
    {"loop_take", loop_take, METH_O,
     "loop_take(loop)\n--\n\n[(fd, events)] of what is ready. None: there is no worker any more."},
    {"plugin_function", plugin_function, METH_VARARGS,
     "plugin_function(plugin, name, arity)\n--\n\nA function of a plugin. What it has not got yet is PENDING. "
     "ImportError: the plugin is not loaded, or has no such function."},
    {"plugin_wait", py::as_function(plugin_wait), METH_FASTCALL,
     "plugin_wait(function, timeout, *args)\n--\n\nCall it, and wait for so many seconds, or None, until it has what "
     "it is asked for. PENDING: the time is over."},
    {"plugin_poll", py::as_function(plugin_poll), METH_FASTCALL,
     "plugin_poll(function, inbox, number, before, *args)\n--\n\nCall it for an event loop. A Waker: it has nothing "
     "yet, and an answer of that number comes to the inbox when it is worth calling again, with this as `before`. It is "
     "to be kept until then."},
    {"store_get", py::as_function(store_get), METH_FASTCALL,
     "store_get(store, key, default)\n--\n\nA value of py_state (None) or of a SharedDict, or the default."},
    {"store_put", py::as_function(store_put), METH_FASTCALL,
     "store_put(store, key, value, pickled)\n--\n\nStore a value. False: py_state has no such key."},
    {"store_add", py::as_function(store_add), METH_FASTCALL,
     "store_add(store, key, amount)\n--\n\nAdd to a counter. None: py_state has no such key."},
    {"store_remove", py::as_function(store_remove), METH_FASTCALL,
     "store_remove(store, key)\n--\n\nRemove a key. False: there was none."},
    {"store_has", py::as_function(store_has), METH_FASTCALL,
     "store_has(store, key)\n--\n\nWhether there is such a key."},
    {"store_size", store_size, METH_O, "store_size(store)\n--\n\nHow many keys there are."},
    {"store_keys", store_keys, METH_O, "store_keys(store)\n--\n\nAll keys, in no order."},
    {"store_close", store_close, METH_O, "store_close(store)\n--\n\nDestroy a SharedDict."},
    {"set_schedule_markers", py::as_function(set_schedule_markers), METH_FASTCALL,
     "set_schedule_markers(*types)\n--\n\nThe types of what functions return in place of a result."},
    {nullptr, nullptr, 0, nullptr},
};

// ---------------------------------------------------------------------------------------------------------------------
// The module

py::Ref add_exception(PyObject *module, const char *name, const char *doc, PyObject *base) {
    std::string full = std::string{"erlang."} + name;
    py::Ref exception = py::Ref::check(PyErr_NewExceptionWithDoc(full.c_str(), doc, base, nullptr));
    py::check(PyModule_AddObjectRef(module, name, exception.get()));
    return exception;
}

int execute(PyObject *module) noexcept {
    try {
        auto &state = *new (PyModule_GetState(module)) ModuleState;
        add_term_types(module, state);
        state.atoms = py::Ref::check(PyDict_New());
        state.process_error =
            add_exception(module, "ProcessError", "The process a message was for is not alive.", PyExc_Exception);
        add_plugin_types(module, state);
        state.plugin_error =
            add_exception(module, "PluginError", "What a function of a plugin could not do; args[0] is the reason.",
                          PyExc_RuntimeError);
        state.interrupted = add_exception(module, "Interrupted",
                                          "The request this code runs for timed out, was interrupted, or its context "
                                          "is stopping. Not an Exception, so that code that catches those ends, too.",
                                          PyExc_BaseException);
        state.wrong_interpreter = py::Ref::check(
            PyErr_NewException("erlang.WrongInterpreter", PyExc_ReferenceError, nullptr)); // no name to import it by
        return 0;
    } catch (const py::Raised &) {
        return -1;
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return -1;
    }
}

int traverse(PyObject *module, visitproc visit, void *arg) {
    auto *state = static_cast<ModuleState *>(PyModule_GetState(module));
    if (state != nullptr) {
        for (PyObject *object :
             {state->pid.get(), state->ref.get(), state->atom.get(), state->term.get(), state->view.get(),
              state->process_error.get(), state->interrupted.get(), state->wrong_interpreter.get(), state->atoms.get(),
              state->handle.get(), state->buffer_handle.get(), state->plugin_function.get(), state->waker.get(),
              state->plugin_error.get(), state->pending.get(), state->handle_classes.get()}) {
            Py_VISIT(object);
        }
        for (PyObject *marker : state->schedule_markers) {
            Py_VISIT(marker);
        }
    }
    return 0;
}

int clear(PyObject *module) {
    if (auto *state = static_cast<ModuleState *>(PyModule_GetState(module))) {
        Interpreter *interpreter = state->interpreter;
        for (PyObject *&marker : state->schedule_markers) {
            Py_CLEAR(marker);
        }
        *state = ModuleState{};
        state->interpreter = interpreter;
    }
    return 0;
}

void free_module(void *module) {
    clear(static_cast<PyObject *>(module));
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(execute)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_erlang",
    "The part of the package erlang that is native.",
    sizeof(ModuleState),
    methods,
    slots,
    traverse,
    clear,
    free_module,
};

} // namespace

PyModuleDef *erlang_module_definition() noexcept {
    return &definition;
}

// Not by the table of builtin modules: that is one for all interpreters, also for those that Python code starts by itself
// (concurrent.interpreters), which have no context to go through; and two backends of one Python have a module each.
py::Ref add_module(Interpreter &interpreter) {
    py::Ref machinery = py::Ref::check(PyImport_ImportModule("importlib.machinery"));
    py::Ref spec = py::Ref::check(PyObject_CallMethod(machinery.get(), "ModuleSpec", "sO", definition.m_name, Py_None));
    py::Ref module = py::Ref::check(PyModule_FromDefAndSpec(&definition, spec.get()));
    py::check(PyObject_SetAttrString(module.get(), "__spec__", spec.get()));
    py::check(PyModule_ExecDef(module.get(), &definition));
    state_of(module.get()).interpreter = &interpreter;
    py::check(PyDict_SetItemString(PyImport_GetModuleDict(), definition.m_name, module.get()));
    return module;
}

} // namespace ep
