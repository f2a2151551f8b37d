#include "task.hpp"

#include "context.hpp"
#include "core.hpp"

#include <new>

namespace ep {

namespace {

ERL_NIF_TERM make_message(ErlNifEnv *env, Task *task, ERL_NIF_TERM result) {
    return enif_make_tuple3(env, core().atoms.async_result, enif_make_resource(env, task), result);
}

// To a creator that may be gone. `env` is sent.
void send(ErlNifEnv *caller, Task *task, ErlNifEnv *env, ERL_NIF_TERM result) {
    enif_send(caller, &task->creator, env, make_message(env, task, result));
    enif_clear_env(env); // it still points into what is the receiver's now
    task->ended();
}

void send_stopped(ErlNifEnv *caller, Task *task, ErlNifEnv *env) {
    send(caller, task, env, make_error(env, core().atoms.context_stopped));
}

// Ends the task by a message that `send` sends. The message may take the last reference.
template <class Send> ep_status end(Task *task, Send send) {
    if (!task->end()) {
        return EP_FAILED;
    }
    enif_keep_resource(task);
    send();
    task->context->tasks().remove(task);
    enif_release_resource(task);
    return EP_OK;
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
    // Whoever ends it looks at `listed` after that, and here it is looked at the other way round: one of the two sees
    // the other. It is in the list already, is put in, or was not open any more.
    if (task->listed.exchange(true) || task->state.load() != Task::State::open) {
        return true;
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
    if (!task->listed.load()) {
        return;
    }
    {
        std::lock_guard lock{mutex_};
        if (task->before != nullptr) {
            task->before->after = task->after;
        } else if (first_ == task) {
            first_ = task->after;
        } else {
            return; // close() has it, or it was left out
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
            send_stopped(caller, task, env);
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
    return task;
}

void keep_open(Task *task, ErlNifEnv *caller) {
    if (task->state.load() == Task::State::open && !task->context->tasks().add(task)) {
        end_stopped(task, caller);
    }
}

void end_stopped(Task *task, ErlNifEnv *caller) {
    if (task->state.load() != Task::State::open) {
        return;
    }
    ErlNifEnv *env = enif_alloc_env();
    end(task, [=] { send_stopped(caller, task, env); });
    enif_free_env(env);
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
    const ep_status status = end(task, [=] { send(nullptr, task, env, result); });
    if (status != EP_OK) {
        enif_clear_env(env);
    }
    return status;
}

ep_status task_end_copy(ep_task *which, ErlNifEnv *env, ERL_NIF_TERM result) {
    auto *task = static_cast<Task *>(which);
    return end(task, [=] {
        enif_send(nullptr, &task->creator, nullptr, make_message(env, task, result));
        task->ended();
    });
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
