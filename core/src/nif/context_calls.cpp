// erlang.call from a context's thread: the wait for its answer, during which the thread serves those it depends on.
#include "callback.hpp"
#include "context.hpp"
#include "core.hpp"
#include "waker.hpp"

#include <algorithm>
#include <utility>

namespace ep {

namespace {

ERL_NIF_TERM too_many_waits(ErlNifEnv *env) {
    return make_exception(env, "RecursionError",
                          "too many erlang.call() wait in this context, and none was answered for long");
}

} // namespace

// The thread's part of erlang.call.
void Context::call(ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, uint32_t flags, ep_answer *answer) {
    *answer = {};
    if (!serving_ || frames_.size() >= max_depth) {
        answer->status = serving_ ? EP_TOO_DEEP : EP_CLOSED;
        give_env(env);
        return;
    }
    Frame frame = make_frame((flags & EP_CALL_ALONE) != 0);
    begin_wait(frame); // before anybody can be asked for the answer, and call back
    answer->status = send_call(env, name, args, frame);
    if (answer->status != EP_OK) {
        end_wait();
        return;
    }
    answer->status = sleep(frame);
    if (frame.reply != nullptr) {
        if (answer->status == EP_OK) {
            answer->status = frame.reply->status;
        }
        answer->value = frame.reply->flat.view();
        answer->owner = frame.reply;
    }
}

ep_status Context::wait_for(Waker &waker, const Parker::Deadline &deadline) {
    if (waker.woken()) {
        return EP_OK;
    }
    if (!serving_ || frames_.size() >= max_depth) {
        return serving_ ? EP_TOO_DEEP : EP_CLOSED;
    }
    Frame frame = make_frame();
    frame.waker = &waker;
    frame.deadline = deadline;
    begin_wait(frame);
    return sleep(frame);
}

// Waits for a frame whose wait has begun, and ends that. The request's slot is others' meanwhile.
ep_status Context::sleep(Frame &frame) {
    Request *const request = frame.request;
    const bool had_slot = request != nullptr && request->has_slot;
    if (had_slot) {
        release_slot(request, nullptr);
    }
    ep_status status = wait(frame);
    end_wait();
    if (status == EP_OK && request != nullptr && request->interrupted.load()) {
        status = EP_INTERRUPTED; // the exception that was set for it may have been cleared by one on top
    }
    if (had_slot) {
        core().semaphore.retake();
        request->has_slot = true;
    }
    attach();
    return status;
}

// What the frames below the top one were woken for is others' to have: they cannot go on before that does.
void Context::pass_on_wakes() noexcept {
    for (size_t i = 0; i + 1 < frames_.size(); ++i) {
        if (frames_[i]->waker != nullptr) {
            frames_[i]->waker->pass_on();
        }
    }
}

bool Frame::is_over() const noexcept {
    return waker != nullptr ? waker->woken() : reply != nullptr;
}

Request *Context::waiting() const noexcept {
    return releasing_ || running_.empty() ? nullptr : running_.back();
}

ERL_NIF_TERM Context::for_whom(ErlNifEnv *env, const Request *request) noexcept {
    return request != nullptr ? enif_make_pid(env, &request->caller) : core().atoms.undefined;
}

Frame Context::make_frame(bool alone) noexcept {
    return {next_frame_++, waiting(), alone || (!frames_.empty() && frames_.back()->alone)};
}

void Context::begin_wait(Frame &frame) {
    frame.releasing = std::exchange(releasing_, false);
    frames_.push_back(&frame);
    {
        std::lock_guard lock{queue_mutex_};
        ErlNifPid pid;
        enif_set_pid_undefined(&pid); // finalizers run for nobody; it must be a term, since it is compared
        depended_on_.push_back({frame.request != nullptr ? frame.request->caller : pid, frame.request});
    }
    waits_.fetch_add(1);
}

void Context::end_wait() {
    waits_.fetch_sub(1);
    {
        std::lock_guard lock{queue_mutex_};
        depended_on_.pop_back();
    }
    releasing_ = frames_.back()->releasing;
    frames_.pop_back();
}

// Sends the callback to whoever runs it. `env` is consumed.
ep_status Context::send_call(ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, const Frame &frame) {
    Request *request = frame.request;
    const bool in_caller =
        request != nullptr && request->wants_reply() && (request->flags & Request::callbacks_elsewhere) == 0;
    const uint64_t handle = in_caller ? request->handle() : 0;
    ep_status status = EP_OK;
    if (in_caller && !request->state.begin_call()) {
        status = stopping() ? EP_CLOSED : EP_INTERRUPTED;
    } else if (in_caller) {
        ERL_NIF_TERM callback = make_callback(env, this, frame.id, handle);
        ERL_NIF_TERM ref = enif_make_copy(env, request->ref);
        if (!enif_send(nullptr, &request->caller, env, enif_make_tuple4(env, ref, callback, name, args))) {
            request->state.end_call(request->state.generation());
            status = EP_NO_ANSWER;
        }
    } else {
        ERL_NIF_TERM callback = make_callback(env, this, frame.id, 0);
        ERL_NIF_TERM what = enif_make_tuple5(env, core().atoms.callback, callback, name, args, for_whom(env, request));
        status = core().runners.run(env, what) ? EP_OK : EP_NOT_RUNNING;
    }
    give_env(env);
    return status;
}

// Serves the inbox until the frame has what it waits for.
ep_status Context::wait(Frame &frame) {
    last_move_ = Clock::now();
    for (;;) {
        receive();
        if (frame.is_over()) {
            return EP_OK;
        }
        pass_on_wakes();
        if (stopping()) {
            return EP_CLOSED;
        }
        if (frame.request != nullptr && frame.request->interrupted.load()) {
            return EP_INTERRUPTED;
        }
        if (run_releases()) {
            continue; // a finalizer may have waited, too, and received what this one waits for
        }
        if (frame.deadline && Clock::now() >= *frame.deadline) {
            return EP_PENDING;
        }
        Parker::Deadline deadline;
        if (Request *request = next(admission(deadline))) {
            serve(request);
            last_move_ = Clock::now();
        } else if (deadline && frames_.size() >= crowded_depth && Clock::now() >= *deadline) {
            refuse_one();
        } else {
            forget_answers();
            detach();
            inbox_.wait(frame.deadline && (!deadline || *frame.deadline < *deadline) ? frame.deadline : deadline);
        }
    }
}

// Who is let in while a frame waits. Everything served here runs on top of it: the frames below can only go on when
// those above are done, and whatever locks they hold are held by this thread. So only those are let in freely that a
// wait depends on: processes that run a callback of this context, and what they have started. It may depend on others
// too, a server that such a process has asked, and nobody can tell which; so they are let in one at a time when nothing
// has moved for a while, and not at all when the stack is crowded.
Context::Admit Context::admission(Parker::Deadline &deadline) const {
    if (!others_wait()) {
        return Admit::involved;
    }
    const bool crowded = frames_.size() >= crowded_depth;
    const Clock::duration patience = crowded                 ? Clock::duration{crowded_patience}
                                     : frames_.back()->alone ? Clock::duration{alone_patience}
                                                             : core().patience.load();
    deadline = last_move_ + patience;
    return !crowded && Clock::now() >= *deadline ? Admit::all : Admit::involved;
}

bool Context::others_wait() const {
    std::lock_guard lock{queue_mutex_};
    return !ready_.empty();
}

// Nothing has moved on a crowded stack for long: most likely calls that nest without end, by way of other processes.
void Context::refuse_one() {
    Request *request = nullptr;
    {
        std::lock_guard lock{queue_mutex_};
        request = ready_.pop();
    }
    last_move_ = Clock::now();
    if (request == nullptr) {
        return;
    }
    if (request->wants_reply() && request->state.reply()) {
        send_result(request, nullptr, request->env(), too_many_waits(request->env()));
    }
    if (request->task != nullptr) {
        task_end(request->task, request->env(), too_many_waits(request->env()));
    }
    recycle(request, nullptr);
}

Request *Context::next(Admit admit) {
    std::lock_guard lock{queue_mutex_};
    if (stopping_) {
        return nullptr;
    }
    Request *request =
        admit == Admit::all ? ready_.pop() : ready_.pop_if([this](const Request *r) { return involved(r); });
    if (request != nullptr) {
        running_.push_back(request);
    }
    return request;
}

// Whether the caller, or one that started it, is a process that runs a callback for this context. A process whose request
// was interrupted waits for it no more: what it asks for next is not for that one, though what its callbacks ask for is.
bool Context::involved(const Request *request) const {
    auto waits = [](const Request *other) { return other == nullptr || !other->interrupted.load(); };
    auto runs_callback = [this](const ErlNifPid &pid, auto counts) {
        return std::any_of(depended_on_.begin(), depended_on_.end(),
                           [&](const Dependence &other) {
                               return enif_compare_pids(&other.process, &pid) == 0 && counts(other.request);
                           }) ||
               std::any_of(running_.begin(), running_.end(), [&](const Request *other) {
                   return other->polls && enif_compare_pids(&other->caller, &pid) == 0 && counts(other);
               });
    };
    return runs_callback(request->caller, waits) ||
           std::any_of(request->ancestors, request->ancestors + request->ancestor_count,
                       [&](const ErlNifPid &pid) { return runs_callback(pid, [](const Request *) { return true; }); });
}

bool Context::depends_on(const Request *request) const {
    if (!waits()) {
        return false;
    }
    std::lock_guard lock{queue_mutex_};
    return involved(request);
}

} // namespace ep
