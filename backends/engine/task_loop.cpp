#include "task_loop.hpp"

namespace ep {

namespace {

py::Ref attribute(const py::Ref &object, const char *name) {
    return py::Ref::check(PyObject_GetAttrString(object.get(), name));
}

py::Ref interned(const char *name) {
    return py::Ref::check(PyUnicode_InternFromString(name));
}

// Sets the task aside that is a loop's current one: it waits below for something of Erlang's.
class NoTask {
public:
    NoTask(PyObject *tasks, PyObject *loop) : tasks_(tasks), loop_(loop) {
        PyObject *task = nullptr;
        py::check(py::compat::dict_get(tasks, loop, &task));
        task_ = py::Ref::steal(task);
        if (task_) {
            py::check(PyDict_DelItem(tasks, loop));
        }
    }
    ~NoTask() {
        if (!task_) {
            return;
        }
        py::Ref raised = py::Ref::steal(py::compat::take_exception());
        if (PyDict_SetItem(tasks_, loop_, task_.get()) < 0) {
            PyErr_Clear();
        }
        if (raised) {
            PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(raised.get())), raised.get());
        }
    }
    NoTask(const NoTask &) = delete;
    NoTask &operator=(const NoTask &) = delete;

private:
    PyObject *tasks_;
    PyObject *loop_;
    py::Ref task_;
};

} // namespace

TaskLoop::TaskLoop(PyObject *tasks, PyObject *set_running_loop, PyObject *task_type, PyObject *current_tasks)
    : tasks_(py::Ref::borrow(tasks)),
      loop_(attribute(tasks_, "loop")),
      ready_(attribute(loop_, "_ready")),
      set_running_loop_(py::Ref::borrow(set_running_loop)),
      task_type_(py::Ref::borrow(task_type)),
      current_tasks_(py::Ref::borrow(current_tasks != Py_None ? current_tasks : nullptr)),
      find_(attribute(tasks_, "find")),
      awaited_(attribute(tasks_, "awaited")),
      watch_(attribute(tasks_, "watch")),
      task_done_(attribute(task_type_, "done")),
      task_result_(attribute(task_type_, "result")),
      open_(interned("open")),
      pop_(interned("pop")),
      callback_(interned("_callback")),
      self_(interned("__self__")),
      context_(interned("_context")),
      done_(interned("done")),
      result_(interned("result")) {}

bool TaskLoop::open() const {
    return py::Ref::check(PyObject_GetAttr(tasks_.get(), open_.get())).get() == Py_True;
}

void TaskLoop::set_running(bool running) const noexcept {
    py::Ref done = py::Ref::steal(PyObject_CallOneArg(set_running_loop_.get(), running ? loop_.get() : Py_None));
    if (!done) {
        PyErr_Clear();
    }
}

// PyImport_GetModule() takes long to find out that nobody is importing it any more.
py::Ref TaskLoop::imported(PyObject *module) {
    PyObject *found = nullptr;
    if (known_ && py::check(py::compat::dict_get(PyImport_GetModuleDict(), module, &found)) == 1) {
        py::Ref owned = py::Ref::steal(found);
        if (found == known_.get()) {
            return owned;
        }
    }
    py::Ref imported = py::Ref::steal(PyImport_GetModule(module));
    known_ = imported.copy();
    return imported;
}

// Attributes are looked up each time: modules are reloaded and patched.
py::Ref TaskLoop::find_imported(PyObject *module, PyObject *name) {
    if (PyUnicode_CompareWithASCIIString(module, "__main__") == 0) {
        return {};
    }
    py::Ref imported = this->imported(module);
    py::Ref found = py::Ref::steal(imported ? PyObject_GetAttr(imported.get(), name) : nullptr);
    if (!found && PyErr_Occurred()) {
        if (!imported || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
            throw py::Raised{};
        }
        PyErr_Clear(); // perhaps another thread is still importing it: the slow way waits for that
    }
    return found;
}

py::Ref TaskLoop::find(PyObject *creator, PyObject *module, PyObject *name) const {
    PyObject *arguments[] = {creator, module, name};
    py::Ref found = py::Ref::check(PyObject_Vectorcall(find_.get(), arguments, 3, nullptr));
    if (!PyTuple_Check(found.get())) {
        return {};
    }
    return py::Ref::borrow(PyTuple_GET_ITEM(found.get(), 0));
}

// The name: before Python 3.12 asyncio takes long to make one up.
py::Ref TaskLoop::keywords(PyObject *name) const {
    if (named_.get() != name) {
        py::Ref made = py::Ref::check(Py_BuildValue("{sOsO}", "loop", loop_.get(), "name", name));
        if (!current_tasks_) {
            py::check(PyDict_SetItemString(made.get(), "eager_start", Py_True));
        }
        keywords_ = std::move(made);
        named_ = py::Ref::borrow(name);
    }
    return keywords_.copy();
}

py::Ref TaskLoop::start(PyObject *coroutine, PyObject *name) const {
    py::Ref arguments = py::Ref::check(PyTuple_Pack(1, coroutine));
    py::Ref task = py::Ref::check(PyObject_Call(task_type_.get(), arguments.get(), keywords(name).get()));
    if (current_tasks_) {
        try {
            step(task.get());
        } catch (const py::Raised &) { // which the task has, too, and would say that nobody has asked for it
            py::Ref raised = py::Ref::steal(py::compat::take_exception());
            py::Ref asked = py::Ref::steal(PyObject_CallMethod(task.get(), "exception", nullptr));
            PyErr_Clear();
            PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(raised.get())), raised.get());
            throw;
        }
    }
    return task;
}

// Does the first step of a task, which it has just queued for the loop's next turn; if it is not what was queued last,
// leaves it to that.
void TaskLoop::step(PyObject *task) const {
    py::Ref handle = py::Ref::steal(PySequence_GetItem(ready_.get(), -1));
    py::Ref callback = py::Ref::steal(handle ? PyObject_GetAttr(handle.get(), callback_.get()) : nullptr);
    py::Ref owner = py::Ref::steal(callback ? PyObject_GetAttr(callback.get(), self_.get()) : nullptr);
    py::Ref context = py::Ref::steal(owner ? PyObject_GetAttr(handle.get(), context_.get()) : nullptr);
    if (!context || owner.get() != task) {
        PyErr_Clear();
        return;
    }
    py::Ref::check(PyObject_CallMethodNoArgs(ready_.get(), pop_.get()));
    const NoTask below{current_tasks_.get(), loop_.get()};
    py::check(PyContext_Enter(context.get()));
    py::Ref stepped = py::Ref::steal(PyObject_CallNoArgs(callback.get()));
    if (PyContext_Exit(context.get()) < 0 || !stepped) {
        throw py::Raised{};
    }
}

py::Ref TaskLoop::awaited(PyObject *awaitable) const {
    return py::Ref::check(PyObject_CallOneArg(awaited_.get(), awaitable));
}

// A method without arguments. Those of tasks are known.
py::Ref TaskLoop::ask(PyObject *future, const py::Ref &of_tasks, const py::Ref &name) const {
    const bool is_task = reinterpret_cast<PyObject *>(Py_TYPE(future)) == task_type_.get();
    return py::Ref::steal(is_task ? PyObject_CallOneArg(of_tasks.get(), future)
                                  : PyObject_CallMethodNoArgs(future, name.get()));
}

py::Ref TaskLoop::result(PyObject *future) const {
    py::Ref done = ask(future, task_done_, done_);
    if (!done) {
        throw py::Raised{};
    }
    if (done.get() != Py_True) {
        return {};
    }
    py::Ref result = ask(future, task_result_, result_);
    if (!result) {
        PyErr_Clear();
    }
    return result;
}

void TaskLoop::watch(PyObject *task, PyObject *creator, PyObject *future) const {
    PyObject *arguments[] = {task, creator, future};
    py::Ref::check(PyObject_Vectorcall(watch_.get(), arguments, 3, nullptr));
}

} // namespace ep
