// NIFs about tasks of event loops.
#include "arguments.hpp"
#include "budget.hpp"
#include "draft.hpp"
#include "nifs.hpp"
#include "task.hpp"

#include <utility>

namespace ep {

namespace {

Task *get_task(ErlNifEnv *env, ERL_NIF_TERM term) {
    return get_resource<Task>(env, term, core().types.task);
}

// A new task of the calling process. Given up in the end, unless something else is to end it.
class NewTask {
public:
    NewTask(ErlNifEnv *env, Context *context) : task_(make_task(env, context, term_)) {}
    ~NewTask() {
        if (!kept_) {
            give_up(task_);
        }
        enif_release_resource(task_);
    }
    NewTask(const NewTask &) = delete;
    NewTask &operator=(const NewTask &) = delete;
    Task *get() const noexcept { return task_; }
    ERL_NIF_TERM term() const noexcept { return term_; }
    ERL_NIF_TERM keep() noexcept {
        kept_ = true;
        return term_;
    }

private:
    ERL_NIF_TERM term_ = 0;
    Task *task_;
    bool kept_ = false;
};

// Takes no slot, and callbacks run in processes of their own.
constexpr uint32_t submission = EP_NO_REPLY | Request::callbacks_elsewhere | Request::takes_no_slot;

// A request for the loop of a context; `ref` is any reference. Module, Function, Args, Kwargs
class Submission : public Draft {
public:
    Submission(ErlNifEnv *env, Context *context, ERL_NIF_TERM ref, Task *task, uint64_t budget,
               const ERL_NIF_TERM argv[])
        : Draft(env, context, ref, core().atoms.undefined, submission | (task != nullptr ? Request::part_of_task : 0),
                budget, task) {
        name(argv[0]);
        name(argv[1]);
        list(argv[2]);
        map(argv[3]);
    }
};

void check_operands(ErlNifEnv *env, const ERL_NIF_TERM argv[]) {
    for (const ERL_NIF_TERM name : {argv[0], argv[1]}) {
        if (!enif_is_atom(env, name) && !enif_is_binary(env, name)) {
            throw BadArgument{};
        }
    }
    if (!enif_is_list(env, argv[2]) || !enif_is_map(env, argv[3])) {
        throw BadArgument{};
    }
}

// Context, Module, Function, Args, Kwargs
template <uint64_t budget> ERL_NIF_TERM submit(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    auto *context = get_resource<Context>(env, argv[0], core().types.context);
    check_operands(env, argv + 1); // before there is a task
    {
        NewTask task{env, context};
        Submission draft{env, context, task.term(), task.get(), budget, argv + 1};
        if (!draft.over_budget()) {
            ERL_NIF_TERM submitted = draft.dispatch(EP_OP_TASK);
            return enif_is_number(env, submitted) ? task.keep() : submitted;
        }
    }
    return on_dirty_scheduler(env, "submit_task", guarded<submit<no_budget>>, argc, argv);
}

// The same, Ref first
template <uint64_t budget> ERL_NIF_TERM spawn(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    auto *context = get_resource<Context>(env, argv[1], core().types.context);
    {
        Submission draft{env, context, argv[0], nullptr, budget, argv + 2};
        if (!draft.over_budget()) {
            ERL_NIF_TERM submitted = draft.dispatch(EP_OP_TASK);
            return enif_is_number(env, submitted) ? core().atoms.ok : submitted;
        }
    }
    return on_dirty_scheduler(env, "spawn_task", guarded<spawn<no_budget>>, argc, argv);
}

} // namespace

Nif submit_task = guarded<submit<scheduler_budget>>;
Nif spawn_task = guarded<spawn<scheduler_budget>>;

// A task nobody has submitted. {error, context_stopped} or the reference.
ERL_NIF_TERM nif_task_new(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    auto *context = get_resource<Context>(env, argv[0], core().types.context);
    NewTask task{env, context};
    if (!context->tasks().add(task.get())) {
        return make_error(env, core().atoms.context_stopped);
    }
    return task.keep();
}

ERL_NIF_TERM nif_task_give_up(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return give_up(get_task(env, argv[0])) ? core().atoms.cancelled : core().atoms.replied;
}

// open, ending: its message is about to be in the mailbox; over; or not_owner, for another process than its creator.
ERL_NIF_TERM nif_task_state(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    const Atoms &atoms = core().atoms;
    void *resource = nullptr;
    if (!enif_get_resource(env, argv[0], core().types.task, &resource)) {
        return atoms.not_owner;
    }
    const auto *task = static_cast<const Task *>(resource);
    ErlNifPid self;
    enif_self(env, &self);
    if (enif_compare_pids(&task->creator, &self) != 0) {
        return atoms.not_owner;
    }
    switch (task->state.load()) {
    case Task::State::open: return atoms.open;
    case Task::State::ending: return atoms.ending;
    default: return atoms.over;
    }
}

ERL_NIF_TERM nif_task_context(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return enif_make_resource(env, get_task(env, argv[0])->context);
}

} // namespace ep
