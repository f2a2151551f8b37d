#include "task.hpp"

#include "context.hpp"
#include "core.hpp"

#include <new>

namespace ep {

namespace {

// To a creator that may be gone.
void send(ErlNifEnv *caller, Task *task, ErlNifEnv *env, ERL_NIF_TERM ref, ERL_NIF_TERM result) {
    enif_send(caller, &task->creator, env, enif_make_tuple3(env, core().atoms.async_result, ref, result));
    task->ended();
}

Task *task_of(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *resource = nullptr;
    return enif_get_resource(env, term, core().types.task, &resource) ? static_cast<Task *>(resource) : nullptr;
}

} // namespace

bool TaskList::add(Task *task) {
    std::lock_guard lock{mutex_};
    if (closed_) {
        return false;
    }
    enif_keep_resource(task);
    task->after = first_;
    if (first_ != nullptr) {
        first_->before = task;
    }
    first_ = task;
    return true;
}

void TaskList::remove(Task *task) {
    {
        std::lock_guard lock{mutex_};
        if (task->before != nullptr) {
            task->before->after = task->after;
        } else if (first_ == task) {
            first_ = task->after;
        } else {
            return; // close() has it
        }
        if (task->after != nullptr) {
            task->after->before = task->before;
        }
        task->before = task->after = nullptr;
    }
    enif_release_resource(task);
}

void TaskList::close(ErlNifEnv *caller) {
    Task *task = nullptr;
    {
        std::lock_guard lock{mutex_};
        closed_ = true;
        task = first_;
        first_ = nullptr;
        for (Task *each = task; each != nullptr; each = each->after) {
            each->before = nullptr;
        }
    }
    if (task == nullptr) {
        return;
    }
    ErlNifEnv *env = enif_alloc_env();
    while (task != nullptr) {
        Task *after = task->after; // nobody else changes it: whoever ends the task finds it in no list
        if (task->end()) {
            send(caller, task, env, enif_make_resource(env, task), make_error(env, core().atoms.context_stopped));
            enif_clear_env(env);
        }
        enif_release_resource(task);
        task = after;
    }
    enif_free_env(env);
}

Task *make_task(ErlNifEnv *env, Context *context, ERL_NIF_TERM &term) {
    auto *task = new (enif_alloc_resource(core().types.task, sizeof(Task))) Task{context};
    enif_keep_resource(context);
    Counters::add(core().counters.tasks, 1);
    enif_self(env, &task->creator);
    term = enif_make_resource(env, task);
    const bool added = context->tasks().add(task);
    enif_release_resource(task);
    return added ? task : nullptr;
}

bool give_up(Task *task) {
    if (!task->end()) {
        return false;
    }
    task->ended();
    task->context->tasks().remove(task);
    return true;
}

ep_status task_answer(ErlNifEnv *env, ERL_NIF_TERM term, ERL_NIF_TERM result) {
    Task *task = task_of(env, term);
    return task != nullptr ? task_end(task, env, result) : EP_WRONG_KIND;
}

ERL_NIF_TERM task_term(ErlNifEnv *env, ep_task *task) {
    return enif_make_resource(env, static_cast<Task *>(task));
}

ep_status task_end(ep_task *which, ErlNifEnv *env, ERL_NIF_TERM result) {
    auto *task = static_cast<Task *>(which);
    if (!task->end()) {
        return EP_FAILED;
    }
    enif_keep_resource(task); // the message may take the last reference
    send(nullptr, task, env, enif_make_resource(env, task), result);
    task->context->tasks().remove(task);
    enif_release_resource(task);
    return EP_OK;
}

int32_t task_is_open(ErlNifEnv *env, ERL_NIF_TERM term) {
    Task *task = task_of(env, term);
    return task != nullptr && task->state.load() == Task::State::open ? 1 : 0;
}

void destroy_task(ErlNifEnv *, void *resource) {
    auto *task = static_cast<Task *>(resource);
    enif_release_resource(task->context);
    task->~Task();
    Counters::add(core().counters.tasks, -1);
}

} // namespace ep
