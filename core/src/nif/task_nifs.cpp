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

// Takes no slot, and callbacks run in processes of their own.
constexpr uint32_t submission = EP_NO_REPLY | Request::callbacks_elsewhere | Request::takes_no_slot;

// A request for the loop of a context; `ref` is any reference. Module, Function, Args, Kwargs
class Submission : public Draft {
public:
    Submission(ErlNifEnv *env, Context *context, ERL_NIF_TERM ref, uint32_t flags, uint64_t budget,
               const ERL_NIF_TERM argv[])
        : Draft(env, context, ref, core().atoms.undefined, submission | flags, budget) {
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
    ERL_NIF_TERM ref = 0;
    Task *task = make_task(env, context, ref);
    if (task == nullptr) {
        return make_error(env, core().atoms.context_stopped);
    }
    Unsubmitted unsubmitted{task};
    {
        Submission draft{env, context, ref, Request::part_of_task, budget, argv + 1};
        draft.task(task);
        if (!draft.over_budget()) {
            ERL_NIF_TERM submitted = draft.dispatch(EP_OP_TASK);
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

// The same, Ref first
template <uint64_t budget> ERL_NIF_TERM spawn(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    auto *context = get_resource<Context>(env, argv[1], core().types.context);
    {
        Submission draft{env, context, argv[0], 0, budget, argv + 2};
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
    ERL_NIF_TERM ref = 0;
    auto *context = get_resource<Context>(env, argv[0], core().types.context);
    return make_task(env, context, ref) != nullptr ? ref : make_error(env, core().atoms.context_stopped);
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
