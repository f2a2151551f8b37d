// One request: operands in, Python, result out.
#include "errors.hpp"
#include "service.hpp"

#include <chrono>
#include <new>

namespace ep {

namespace {

ERL_NIF_TERM outcome(ep_interp &interp, ep_request &request, TaskRun *run = nullptr) noexcept {
    try {
        ERL_NIF_TERM result = Service{interp, request, run}.run();
        PyErr_Clear(); // an asynchronous exception may have been raised by what cleaned up
        return result;
    } catch (const py::Raised &) {
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
    } catch (const std::exception &error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    request.result_kind = EP_RESULT_TERM;
    if (run != nullptr) {
        run->small = false;
        run->large.reset();
    }
    ERL_NIF_TERM error = take_error(request.out, *interp.interpreter);
    PyErr_Clear();
    return error;
}

void serve_task(ep_interp &interp, ep_request &request, TaskLoop *loop) noexcept {
    Printing printing{interp};
    TaskRun run{loop};
    const ERL_NIF_TERM result = outcome(interp, request, &run);
    if (result != 0 && request.task != nullptr) {
        if (run.large) {
            engine().host->task_end(request.task, run.large->get(), result);
        } else {
            engine().host->task_end_copy(request.task, request.out, result);
        }
    }
    if (result != 0 && !run.small) {
        enif_clear_env(request.out); // of what large or failed ones have left there
    }
    request.result = engine().ok;
}

// Between two callbacks of the loop, as nearly always: it goes on to be asyncio's running one, with no task. To set it
// aside and back would take longer than a function takes.
void serve_task_between(ep_interp &interp, ep_request &request, TaskLoop &running) noexcept {
    serve_task(interp, request, &running);
    if (was_interrupted(interp)) { // perhaps in a loop of its own that was about to say that it runs no more
        forget_running_loop();
    }
    running.set_running(true); // the next one of the batch finds it, whatever this one has made of it
}

} // namespace

void serve(ep_interp *interp, ep_request *request) noexcept {
    request->result_kind = EP_RESULT_TERM;
    Running running{*interp, request->serial};
    const bool is_task = request->op == EP_OP_TASK;
    const std::shared_ptr<TaskLoop> tasks = is_task ? interp->task_loop : nullptr; // the task may end it
    if (tasks && running.between_callbacks()) {
        serve_task_between(*interp, *request, *tasks);
        return;
    }
    LoopBelow loop{*interp, running.nested()};
    if (is_task) {
        if (tasks) {
            tasks->set_running(true);
        }
        serve_task(*interp, *request, tasks.get());
        if (tasks) {
            tasks->set_running(false);
        }
        return;
    }
    Printing printing{*interp}; // ends before the request does, so that sending can be interrupted
    request->result = outcome(*interp, *request);
}

// Every function defined in an environment holds it and is held by it, so that only the garbage collector frees both; and
// that counts objects, not the memory behind them. So it is called for environments that died and did not go, with at
// most a twentieth of the time for it.
void collect_dead_spaces(Interpreter &interpreter) {
    using Clock = std::chrono::steady_clock;
    constexpr uint32_t enough = 32;
    constexpr int share = 20;
    const auto begin = Clock::now();
    {
        std::lock_guard lock{interpreter.collection_mutex};
        if (++interpreter.dead_spaces < enough || begin < interpreter.next_collection) {
            return;
        }
        interpreter.dead_spaces = 0;
        interpreter.next_collection = Clock::time_point::max(); // one at a time
    }
    PyGC_Collect();
    const auto end = Clock::now();
    std::lock_guard lock{interpreter.collection_mutex};
    interpreter.next_collection = end + share * (end - begin);
}

void release_slot(ep_interp *interp, uint64_t slot) noexcept {
    Printing printing{*interp};
    py::Ref object = interp->interpreter->slots.remove(slot);
    const bool stays = object && PyDict_CheckExact(object.get()) && Py_REFCNT(object.get()) > 1;
    object = {};
    if (stays) {
        collect_dead_spaces(*interp->interpreter);
    }
    PyErr_Clear();
}

} // namespace ep
