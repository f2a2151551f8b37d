// How a context's thread carries a request out and answers it.
#include "callback.hpp"
#include "context.hpp"
#include "core.hpp"
#include "handles.hpp"

#include <utility>

namespace ep {

void Context::serve(Request *request) {
    const bool waits = request->wants_reply() && (request->flags & Request::callbacks_elsewhere) == 0;
    if (!request->state.start() || (waits && !enif_is_process_alive(nullptr, &request->caller))) {
        drop(request);
        return;
    }
    if (request->op == Request::op_noop) {
        request->result = core().atoms.ok;
        request->result_is_flat = false;
    } else {
        if (++served_ > attached_bound) {
            detach();
        }
        attach();
        if (request->interrupted.load()) { // while the thread waited for the interpreter
            request->out = request->env();
            request->result_is_flat = false;
            request->result = make_error(request->env(), core().atoms.interrupted);
            if (request->task != nullptr) {
                task_end(request->task, request->env(), request->result);
            }
        } else {
            work(request);
        }
    }
    finish(request);
}

// Nobody wants it any more.
void Context::drop(Request *request) {
    {
        std::lock_guard lock{queue_mutex_};
        running_.pop_back();
    }
    if (request->task != nullptr) {
        give_up(request->task);
    }
    recycle(request, nullptr);
}

void Context::work(Request *request) {
    ErlNifEnv *out = out_for(request);
    ep_request work{};
    work.size = sizeof work;
    work.op = request->op;
    work.flags = request->flags & (EP_RETURN_OBJECT | EP_NO_REPLY);
    work.serial = request->handle();
    work.env_slot = request->space != nullptr ? &request->space->slot : nullptr;
    work.input = request->flat.view();
    work.out = out;
    work.task = request->task;
    work.caller = enif_make_pid(out, &request->caller);
    backend_->serve(interp_, &work);
    request->result = work.result;
    request->result_is_flat = work.result_kind == EP_RESULT_FLAT;
    request->out = out;
    if (request->task != nullptr) {
        keep_open(request->task, nullptr); // what it has started ends it
    }
}

// Where a request's result is built.
ErlNifEnv *Context::out_for(Request *request) {
    if (request->op == EP_OP_TASK && !std::exchange(task_env_busy_, true)) {
        return task_env_;
    }
    if (request->wants_reply() && request->reply_in_place()) {
        return request->env();
    }
    // A wait below this one may be building in the thread's own.
    return frames_.empty() ? reply_env_ : take_env();
}

void Context::done_with_out(ErlNifEnv *out) {
    if (out == task_env_) {
        task_env_busy_ = false;
        if (++answers_ >= most_answers) {
            forget_answers();
        }
    } else if (out == reply_env_) {
        enif_clear_env(out);
    } else {
        give_env(out);
    }
}

void Context::finish(Request *request) {
    {
        std::lock_guard lock{queue_mutex_};
        running_.pop_back();
    }
    if (request->polls) {
        waits_.fetch_sub(1);
    }
    // Once it is parked or recycled it is others'.
    ErlNifEnv *const out = request->op == Request::op_noop ? request->env() : request->out;
    const bool out_is_own = out == request->flat.used_env();
    release_slot(request, nullptr); // before the caller can look at the semaphore
    ERL_NIF_TERM failure = 0;
    if (stopping()) {
        failure = core().atoms.context_stopped;
    } else if (request->interrupted.load(std::memory_order_relaxed)) { // set under queue_mutex_
        failure = core().atoms.interrupted;
    }
    bool parked = false;
    if (request->wants_reply()) {
        do {
            if (request->state.reply()) {
                send_outcome(request, out, failure);
                break;
            }
            // Its caller still runs a callback whose wait was cut short.
            parked = park(request, failure);
        } while (!parked && request->state.phase() == Phase::running);
    }
    if (!out_is_own) {
        done_with_out(out);
    }
    if (!parked) {
        recycle(request, nullptr);
    }
}

// What tasks were answered is copied, and may stay a while; not while the thread sleeps.
void Context::forget_answers() {
    if (answers_ != 0 && !task_env_busy_) {
        enif_clear_env(task_env_);
        answers_ = 0;
    }
}

// Leaves a request to its callback. False when that has just been answered, or the request was cancelled.
bool Context::park(Request *request, ERL_NIF_TERM failure) {
    ERL_NIF_TERM result = request->result;
    request->result = failure != 0 ? failure : core().atoms.interrupted;
    if (request->state.park()) {
        return true;
    }
    request->result = result;
    return false;
}

void Context::send_outcome(Request *request, ErlNifEnv *out, ERL_NIF_TERM failure) {
    if (failure != 0) {
        send_result(request, nullptr, out, make_error(out, failure));
    } else if (request->result_is_flat) {
        send_flat(request, out, request->result);
    } else {
        send_result(request, nullptr, out, request->result);
    }
}

} // namespace ep
