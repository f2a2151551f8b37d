#include "context.hpp"

#include "../plain/detached_thread.hpp"
#include "../plain/thread_name.hpp"
#include "callback.hpp"
#include "core.hpp"
#include "handles.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ep {

namespace {

// What the new thread gets; it frees it.
struct Start {
    Context *context;
    ErlNifEnv *env;
    ERL_NIF_TERM ref;
};

} // namespace

void RequestList::append(Request *request) noexcept {
    request->next = nullptr;
    (last_ != nullptr ? last_->next : first_) = request;
    last_ = request;
}

Request *RequestList::pop() noexcept {
    return pop_if([](const Request *) { return true; });
}

template <class Matches> Request *RequestList::pop_if(Matches matches) noexcept {
    Message *previous = nullptr;
    for (Message *message = first_; message != nullptr; previous = message, message = message->next) {
        auto *request = static_cast<Request *>(message);
        if (matches(request)) {
            (previous != nullptr ? previous->next : first_) = message->next;
            if (last_ == message) {
                last_ = previous;
            }
            return request;
        }
    }
    return nullptr;
}

RequestList RequestList::take_all() noexcept {
    RequestList all = *this;
    first_ = last_ = nullptr;
    return all;
}

Context::Context(const ep_backend *backend, const ep_open &options, const ErlNifPid &owner, uint64_t id)
    : backend_(backend), options_(options), owner_(owner), id_(id) {
    wake_.kind = wake_message;
    Counters::add(core().counters.contexts, 1);
}

bool Context::start(ErlNifEnv *env, ERL_NIF_TERM ref) {
    if (enif_monitor_process(env, this, &owner_, nullptr) != 0) {
        return false;
    }
    auto *start = new Start{this, enif_alloc_env(), 0};
    start->ref = enif_make_copy(start->env, ref);
    enif_keep_resource(this); // the thread's
    if (start_detached(thread_main, start) != 0) {
        enif_free_env(start->env);
        delete start;
        inbox_.close();
        ended_.store(true);
        enif_release_resource(this);
        return false;
    }
    core().contexts.add(owner_, this);
    return true;
}

void *Context::thread_main(void *argument) {
    auto *start = static_cast<Start *>(argument);
    Context *self = start->context;
    Counters::add(core().counters.threads, 1);
    name_thread(("py_context_" + std::to_string(self->id_ % 10'000)).c_str());
    ep_interp *interp = self->run(start->env, start->ref);
    enif_free_env(start->env);
    delete start;
    const ep_backend *backend = self->backend_;
    enif_release_resource(self); // first: an interpreter may have threads that take long to end
    if (interp != nullptr) {
        backend->close(interp);
    }
    Counters::add(core().counters.threads, -1);
    return nullptr;
}

bool Context::announce(ErlNifEnv *env, ERL_NIF_TERM ref, ERL_NIF_TERM what) {
    bool sent = enif_send(nullptr, &owner_, env, enif_make_tuple2(env, ref, what)) != 0;
    enif_clear_env(env);
    return sent;
}

ep_interp *Context::run(ErlNifEnv *env, ERL_NIF_TERM ref) {
    ep_error error{};
    ep_interp *interp = nullptr;
    reply_env_ = enif_alloc_env();
    if (backend_->open(this, &options_, &interp, &error) != EP_OK) {
        announce(env, ref, make_error(env, make_binary(env, error.text)));
        stop(nullptr);
        finish_thread();
        return nullptr;
    }
    {
        std::lock_guard lock{interp_mutex_};
        interp_ = interp;
    }
    serving_ = true;
    announce(env, ref, core().atoms.ready);
    while (!stopping()) {
        receive();
        run_releases();
        if (Request *request = next(Admit::all)) {
            serve(request);
        } else {
            detach();
            inbox_.wait();
        }
    }
    detach();
    serving_ = false;
    finish_thread();
    {
        std::lock_guard lock{interp_mutex_}; // after this no interrupt reaches the interpreter
        interp_ = nullptr;
    }
    return interp;
}

// What came in before the inbox was closed and nobody answered yet.
void Context::finish_thread() {
    RequestList left;
    {
        std::lock_guard lock{queue_mutex_};
        left = ready_.take_all();
    }
    while (Request *request = left.pop()) {
        answer_stopped(request, nullptr);
    }
    enif_free_env(reply_env_);
    ended_.store(true);
}

void Context::stop(ErlNifEnv *caller) {
    Message *messages = inbox_.close();
    RequestList left;
    {
        std::lock_guard lock{queue_mutex_};
        if (!stopping_) {
            stopping_ = true;
            left = ready_.take_all();
        }
        // The thread takes a request off this stack before it answers, so those on it stay as they are meanwhile. One
        // that waits for a callback is answered by the thread, whose wait ends now.
        for (Request *request : running_) {
            request->interrupted.store(true);
            if (request->wants_reply() && request->state.reply()) {
                ErlNifEnv *env = enif_alloc_env();
                send_result(request, caller, env, make_error(env, core().atoms.context_stopped));
                enif_free_env(env);
            }
        }
    }
    while (messages != nullptr) {
        Message *next = messages->next;
        if (messages->kind == request_message) {
            answer_stopped(static_cast<Request *>(messages), caller);
        } else if (messages->kind == reply_message) {
            recycle(static_cast<Reply *>(messages));
        }
        messages = next;
    }
    while (Request *request = left.pop()) {
        answer_stopped(request, caller);
    }
    auto ours = [this](Semaphore::Waiter &waiter) {
        return waiter.granted == request_granted && static_cast<Request &>(waiter).context == this;
    };
    core().semaphore.withdraw_all(
        ours, [=](Semaphore::Waiter &waiter) { answer_stopped(&static_cast<Request &>(waiter), caller); });
    core().contexts.remove(owner_, this);
    if (!thread_ended()) {
        core().runtime.hound(this);
    }
}

// The thread's part of erlang.call.
void Context::call(ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, ep_answer *answer) {
    Request *request = nullptr;
    {
        std::lock_guard lock{queue_mutex_};
        request = releasing_ || running_.empty() ? nullptr : running_.back();
    }
    *answer = {};
    if (!serving_ || frames_.size() >= max_depth) {
        answer->status = serving_ ? EP_TOO_DEEP : EP_CLOSED;
        give_env(env);
        return;
    }
    Frame frame{next_frame_++, request};
    begin_wait(frame); // before anybody can be asked for the answer, and call back
    answer->status = send_call(env, name, args, frame);
    if (answer->status != EP_OK) {
        end_wait();
        return;
    }
    const bool had_slot = request != nullptr && request->has_slot;
    if (had_slot) {
        release_slot(request, nullptr);
    }
    const bool releasing = std::exchange(releasing_, false); // what is served meanwhile is no finalizer
    answer->status = wait(frame);
    releasing_ = releasing;
    end_wait();
    if (answer->status == EP_OK && request != nullptr && request->interrupted.load()) {
        answer->status = EP_INTERRUPTED; // the exception that was set for it may have been cleared by one on top
    }
    if (had_slot) {
        core().semaphore.retake();
        request->has_slot = true;
    }
    attach();
    if (frame.reply != nullptr) {
        if (answer->status == EP_OK) {
            answer->status = frame.reply->status;
        }
        answer->value = frame.reply->flat.view();
        answer->owner = frame.reply;
    }
}

void Context::begin_wait(Frame &frame) {
    frames_.push_back(&frame);
    {
        std::lock_guard lock{queue_mutex_};
        ErlNifPid pid;
        enif_set_pid_undefined(&pid); // finalizers run for nobody; it must be a term, since it is compared
        depended_on_.push_back(frame.request != nullptr ? frame.request->caller : pid);
    }
    waits_.fetch_add(1);
}

void Context::end_wait() {
    waits_.fetch_sub(1);
    {
        std::lock_guard lock{queue_mutex_};
        depended_on_.pop_back();
    }
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
        ERL_NIF_TERM for_whom = request != nullptr ? enif_make_pid(env, &request->caller) : core().atoms.undefined;
        ERL_NIF_TERM what = enif_make_tuple5(env, core().atoms.callback, callback, name, args, for_whom);
        status = core().runners.run(env, what) ? EP_OK : EP_NOT_RUNNING;
    }
    give_env(env);
    return status;
}

// Serves the inbox until the frame has its answer.
ep_status Context::wait(Frame &frame) {
    last_move_ = Clock::now();
    for (;;) {
        receive();
        if (frame.reply != nullptr) {
            return EP_OK;
        }
        if (stopping()) {
            return EP_CLOSED;
        }
        if (frame.request != nullptr && frame.request->interrupted.load()) {
            return EP_INTERRUPTED;
        }
        run_releases();
        Parker::Deadline deadline;
        if (Request *request = next(admission(deadline))) {
            serve(request);
            last_move_ = Clock::now();
        } else if (deadline && frames_.size() >= crowded_depth && Clock::now() >= *deadline) {
            refuse_one();
        } else {
            detach();
            inbox_.wait(deadline);
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
    const Clock::duration patience = crowded ? Clock::duration{crowded_patience} : core().patience.load();
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
        send_result(request, nullptr, request->env,
                    make_exception(request->env, "RecursionError",
                                   "too many erlang.call() wait in this context, and none was answered for long"));
    }
    recycle(request, nullptr);
}

void Context::post_release(uint64_t slot) {
    if (stopping()) {
        return; // the backend frees all slots of a context that ends
    }
    {
        std::lock_guard lock{release_mutex_};
        released_.push_back(slot);
    }
    wake();
}

void Context::wake() noexcept {
    if (!wake_posted_.exchange(true)) {
        inbox_.push(&wake_);
    }
}

bool Context::interrupt_running() {
    uint64_t serial = 0;
    {
        std::lock_guard lock{queue_mutex_};
        if (running_.empty()) {
            return false;
        }
        running_.back()->interrupted.store(true);
        serial = running_.back()->handle();
    }
    wake();
    core().runtime.interrupt(this, serial);
    return true;
}

void Context::process_down(ErlNifEnv *env, const ErlNifPid &pid) {
    if (enif_compare_pids(&pid, &owner_) == 0) {
        stop(env);
        return;
    }
    // What it waited for is of no use any more, and may never end by itself.
    std::vector<uint64_t> serials;
    {
        std::lock_guard lock{queue_mutex_};
        for (Request *request : running_) {
            if (request->wants_reply() && enif_compare_pids(&request->caller, &pid) == 0) {
                request->interrupted.store(true);
                serials.push_back(request->handle());
            }
        }
    }
    for (uint64_t serial : serials) {
        wake();
        core().runtime.interrupt(this, serial);
    }
}

uint64_t Context::running_serial() {
    std::lock_guard lock{queue_mutex_};
    return running_.empty() ? 0 : running_.back()->handle();
}

bool Context::runs(uint64_t serial) {
    std::lock_guard lock{queue_mutex_};
    return std::any_of(running_.begin(), running_.end(), [=](Request *request) { return request->handle() == serial; });
}

bool Context::deliver_interrupt(uint64_t serial) {
    std::lock_guard lock{interp_mutex_};
    return interp_ != nullptr && backend_->interrupt(interp_, serial) == EP_OK;
}

bool Context::memory(ep_memory &memory) {
    if (options_.memory_limit == 0 || backend_->memory == nullptr) {
        return false;
    }
    std::lock_guard lock{interp_mutex_}; // not held for long: interrupts of such a backend wait for nothing
    if (interp_ == nullptr) {
        return false;
    }
    backend_->memory(interp_, &memory);
    return true;
}

void Context::attach() {
    if (!attached_) {
        backend_->attach(interp_);
        attached_ = true;
        served_ = 0;
    }
}

void Context::detach() {
    if (attached_) {
        attached_ = false;
        backend_->detach(interp_);
    }
}

// Sorts what came in.
void Context::receive() {
    Message *message = inbox_.take();
    if (message == nullptr) {
        return;
    }
    std::lock_guard lock{queue_mutex_};
    while (message != nullptr) {
        Message *next = message->next;
        switch (message->kind) {
        case request_message: ready_.append(static_cast<Request *>(message)); break;
        case reply_message: deliver(static_cast<Reply *>(message)); break;
        default: wake_posted_.store(false); break; // what it stands for is looked at after this
        }
        message = next;
    }
    if (stopping_) {
        while (Request *request = ready_.pop()) {
            answer_stopped(request, nullptr);
        }
    }
}

void Context::deliver(Reply *reply) {
    for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
        if ((*frame)->id == reply->frame) {
            (*frame)->reply = reply;
            last_move_ = Clock::now();
            return;
        }
    }
    recycle(reply); // the wait was given up
}

void Context::run_releases() {
    std::vector<uint64_t> slots;
    {
        std::lock_guard lock{release_mutex_};
        if (released_.empty()) {
            return;
        }
        slots.swap(released_);
    }
    attach();
    const bool before = std::exchange(releasing_, true);
    for (uint64_t slot : slots) {
        backend_->release_slot(interp_, slot);
    }
    releasing_ = before;
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

// Whether the caller, or one that started it, is a process that runs a callback for this context.
bool Context::involved(const Request *request) const {
    auto runs_callback = [this](const ErlNifPid &pid) {
        return std::any_of(depended_on_.begin(), depended_on_.end(),
                           [&](const ErlNifPid &other) { return enif_compare_pids(&other, &pid) == 0; });
    };
    return runs_callback(request->caller) ||
           std::any_of(request->ancestors, request->ancestors + request->ancestor_count, runs_callback);
}

bool Context::depends_on(const Request *request) const {
    if (!waits()) {
        return false;
    }
    std::lock_guard lock{queue_mutex_};
    return involved(request);
}

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
            request->out = request->env;
            request->result_is_flat = false;
            request->result = make_error(request->env, core().atoms.interrupted);
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
    recycle(request, nullptr);
}

void Context::work(Request *request) {
    ErlNifEnv *out = request->reply_in_place() ? request->env : reply_env_;
    if (out == reply_env_ && !frames_.empty()) {
        out = take_env(); // a wait below this one may be building in the thread's own
    }
    ep_request work{};
    work.size = sizeof work;
    work.op = request->op;
    work.flags = request->flags & (EP_RETURN_OBJECT | EP_NO_REPLY);
    work.serial = request->handle();
    work.env_slot = request->space != nullptr ? &request->space->slot : nullptr;
    work.input = request->flat.view();
    work.out = out;
    backend_->serve(interp_, &work);
    request->result = work.result;
    request->result_is_flat = work.result_kind == EP_RESULT_FLAT;
    request->out = out;
}

void Context::finish(Request *request) {
    {
        std::lock_guard lock{queue_mutex_};
        running_.pop_back();
    }
    ErlNifEnv *out = request->op == Request::op_noop ? request->env : request->out;
    const bool out_is_own = out == request->env;
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
    if (out == reply_env_) {
        enif_clear_env(out);
    } else if (!out_is_own) {
        give_env(out);
    }
    if (!parked) {
        recycle(request, nullptr);
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

void destroy_context(ErlNifEnv *, void *resource) {
    static_cast<Context *>(resource)->~Context();
    Counters::add(core().counters.contexts, -1);
}

void context_process_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *) {
    static_cast<Context *>(resource)->process_down(env, *pid);
}

} // namespace ep
