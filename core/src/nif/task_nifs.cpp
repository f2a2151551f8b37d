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

// Gives a task up that was not submitted.
class Unsubmitted {
public:
    explicit Unsubmitted(Task *task) noexcept : task_(task) {}
    ~Unsubmitted() { drop(); }
    Unsubmitted(const Unsubmitted &) = delete;
    Unsubmitted &operator=(const Unsubmitted &) = delete;
    void keep() noexcept { task_ = nullptr; }
    // False: a context that has stopped meanwhile has answered it.
    bool drop() {
        Task *task = std::exchange(task_, nullptr);
        return task == nullptr || give_up(task);
    }

private:
    Task *task_;
};

constexpr uint32_t submission =
    EP_NO_REPLY | Request::callbacks_elsewhere | Request::takes_no_slot | Request::part_of_task;

// Context, Module, Function, Loop, Name, Args, Kwargs
//
// Calls Module.Function(Loop, Task, Creator, *Name, Args, Kwargs), which answers the task; Name is a pair.
template <uint64_t budget> ERL_NIF_TERM submit(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    auto *context = get_resource<Context>(env, argv[0], core().types.context);
    int arity = 0;
    const ERL_NIF_TERM *name = nullptr;
    if (!enif_get_tuple(env, argv[4], &arity, &name) || arity != 2 || !enif_is_list(env, argv[5]) ||
        !enif_is_map(env, argv[6])) {
        throw BadArgument{};
    }
    ERL_NIF_TERM ref = 0;
    Task *task = make_task(env, context, ref);
    if (task == nullptr) {
        return make_error(env, core().atoms.context_stopped);
    }
    ErlNifPid self;
    ERL_NIF_TERM creator = enif_make_pid(env, enif_self(env, &self));
    Unsubmitted unsubmitted{task};
    {
        Draft draft{env, context, ref, core().atoms.undefined, submission, budget};
        draft.name(argv[1]);
        draft.name(argv[2]);
        draft.list(enif_make_list(env, 7, argv[3], ref, creator, name[0], name[1], argv[5], argv[6]));
        draft.map(enif_make_new_map(env));
        if (!draft.over_budget()) {
            ERL_NIF_TERM submitted = draft.dispatch(EP_OP_CALL);
            if (enif_is_number(env, submitted)) {
                unsubmitted.keep();
                return ref;
            }
            return unsubmitted.drop() ? submitted : ref;
        }
    }
    if (!unsubmitted.drop()) {
        return ref;
    }
    return on_dirty_scheduler(env, "submit_task", guarded<submit<no_budget>>, argc, argv);
}

} // namespace

Nif submit_task = guarded<submit<scheduler_budget>>;

// A task nobody has submitted. {error, context_stopped} or the reference.
ERL_NIF_TERM nif_task_new(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ERL_NIF_TERM ref = 0;
    auto *context = get_resource<Context>(env, argv[0], core().types.context);
    return make_task(env, context, ref) != nullptr ? ref : make_error(env, core().atoms.context_stopped);
}

ERL_NIF_TERM nif_task_give_up(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return give_up(get_task(env, argv[0])) ? core().atoms.cancelled : core().atoms.replied;
}

// open, ending: its message is about to be in the mailbox; over; or not_owner, for another process than its creator.
ERL_NIF_TERM nif_task_state(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    Task *task = get_task(env, argv[0]);
    ErlNifPid self;
    enif_self(env, &self);
    if (enif_compare_pids(&task->creator, &self) != 0) {
        return enif_make_atom(env, "not_owner");
    }
    switch (task->state.load()) {
    case Task::State::open: return enif_make_atom(env, "open");
    case Task::State::ending: return enif_make_atom(env, "ending");
    default: return enif_make_atom(env, "over");
    }
}

ERL_NIF_TERM nif_is_task(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    void *resource = nullptr;
    return enif_get_resource(env, argv[0], core().types.task, &resource) ? core().atoms.true_ : core().atoms.false_;
}

ERL_NIF_TERM nif_task_context(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return enif_make_resource(env, get_task(env, argv[0])->context);
}

} // namespace ep
