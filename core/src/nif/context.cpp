#include "context.hpp"

#include "../plain/detached_thread.hpp"
#include "../plain/thread_name.hpp"
#include "core.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ep {

namespace {

// What code that was interrupted has for cleaning up before it is interrupted again.
constexpr std::chrono::milliseconds patience_with_cleanup{1000};

// What the new thread gets; it frees it.
struct Start {
    Context *context;
    ErlNifEnv *env;
    ERL_NIF_TERM ref;
};

} // namespace

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
    task_env_ = enif_alloc_env();
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
            forget_answers();
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
    enif_free_env(task_env_);
    std::vector<Returned> lent;
    {
        std::lock_guard lock{release_mutex_};
        takes_returns_ = false;
        lent.swap(returned_);
    }
    for (const Returned &each : lent) {
        core().runtime.take_back(backend_, each.interpreter, each.slot);
    }
    ended_.store(true);
}

void Context::stop(ErlNifEnv *caller) {
    tasks_.close(caller); // first: a loop that is interrupted now tells by them that it is for good
    Message *messages = inbox_.close();
    RequestList left;
    {
        std::lock_guard lock{queue_mutex_};
        stopping_ = true;
        left = ready_.take_all();
        // The thread takes a request off this stack before it answers, so those on it stay as they are meanwhile. One
        // that waits for a callback is answered by the thread, whose wait ends now.
        for (Request *request : running_) {
            request->interrupted.store(true);
            if (request->wants_reply() && request->state.reply()) {
                ErlNifEnv *env = enif_alloc_env();
                send_result(request, caller, env, make_error(env, core().atoms.context_stopped));
                enif_free_env(env);
            }
            if (request->task != nullptr) {
                end_stopped(request->task, caller);
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

bool Context::post_return(uint64_t interpreter, uint64_t slot) {
    {
        std::lock_guard lock{release_mutex_};
        if (!takes_returns_) {
            return false;
        }
        returned_.push_back({interpreter, slot});
    }
    wake();
    return true;
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
            if (request->ends_with_caller() && enif_compare_pids(&request->caller, &pid) == 0) {
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
    return find_running(serial) != nullptr;
}

void Context::deliver_interrupt(uint64_t serial) {
    std::lock_guard lock{interp_mutex_};
    // There may be several orders for one request: a context that stops also loses its callers.
    if (interp_ == nullptr || has_patience(serial)) {
        return;
    }
    if (backend_->interrupt(interp_, serial) == EP_OK) {
        std::lock_guard queue_lock{queue_mutex_};
        if (Request *request = find_running(serial)) {
            request->interrupt_again = Clock::now() + patience_with_cleanup;
        }
    }
}

bool Context::has_patience(uint64_t serial) const {
    std::lock_guard lock{queue_mutex_};
    const Request *request = find_running(serial);
    return request == nullptr || Clock::now() < request->interrupt_again;
}

Request *Context::find_running(uint64_t serial) const {
    auto found = std::find_if(running_.rbegin(), running_.rend(),
                              [=](const Request *request) { return request->handle() == serial; });
    return found == running_.rend() ? nullptr : *found;
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

bool Context::run_releases() {
    std::vector<uint64_t> slots;
    {
        std::lock_guard lock{release_mutex_};
        if (released_.empty() && returned_.empty()) {
            return false;
        }
        slots.swap(released_);
    }
    attach();
    const bool before = std::exchange(releasing_, true);
    for (uint64_t slot : slots) {
        backend_->release_slot(interp_, slot);
    }
    run_returns();
    releasing_ = before;
    return true;
}

void Context::run_returns() {
    std::vector<Returned> lent;
    {
        std::lock_guard lock{release_mutex_};
        lent.swap(returned_);
    }
    for (const Returned &each : lent) {
        backend_->release_slot(interp_, each.slot);
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
