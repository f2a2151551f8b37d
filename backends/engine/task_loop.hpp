// The event loop that a context runs for Erlang, as erlang/_tasks.py has made it.
#pragma once

#include "ref.hpp"

#include <memory>

namespace ep {

// What submitting a task needs of it, looked up once. Attached, on the context's thread.
class TaskLoop {
public:
    // tasks: a TaskLoop; set_running_loop and task_type: asyncio's own; current_tasks: where asyncio keeps which task
    // runs on which loop, None where it has tasks that begin at once.
    TaskLoop(PyObject *tasks, PyObject *set_running_loop, PyObject *task_type, PyObject *current_tasks);

    PyObject *loop() const noexcept { return loop_.get(); }
    // Whether it takes tasks.
    bool open() const;
    // asyncio's running loop from now on; without `running` none is.
    void set_running(bool running) const noexcept;

    // The function, where its module is imported already and has it; or nothing.
    py::Ref find_imported(PyObject *module, PyObject *name);
    // The function wherever it comes from, or nothing when there is none.
    py::Ref find(PyObject *creator, PyObject *module, PyObject *name) const;
    // An asyncio task of that name for a coroutine; it begins at once.
    py::Ref start(PyObject *coroutine, PyObject *name) const;
    // A future of the loop, or a coroutine, for something else that can be awaited.
    py::Ref awaited(PyObject *awaitable) const;
    // The result of a future that has one; nothing when it is not done or has failed.
    py::Ref result(PyObject *future) const;
    // Has the future answer the task, which may be None, when it is done.
    void watch(PyObject *task, PyObject *creator, PyObject *future) const;

private:
    py::Ref imported(PyObject *module);
    void step(PyObject *task) const;

    py::Ref keywords(PyObject *name) const;
    py::Ref ask(PyObject *future, const py::Ref &of_tasks, const py::Ref &name) const;

    py::Ref tasks_, loop_, ready_;
    py::Ref set_running_loop_, task_type_, current_tasks_;
    py::Ref find_, awaited_, watch_;
    py::Ref task_done_, task_result_;  // task_type's own methods
    mutable py::Ref keywords_, named_; // what task_type was called with last; never changed, and its name
    py::Ref open_, pop_, callback_, self_, context_, done_, result_; // attributes' names
    py::Ref known_;                                                  // the module that was last seen to be imported
};

} // namespace ep
