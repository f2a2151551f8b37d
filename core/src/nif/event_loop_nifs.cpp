// NIFs of event loops that are run in Erlang. `Loop` is what event_loop_new/0 returns, or a core: the same without
// keeping the loop open.
#include "arguments.hpp"
#include "event_loop.hpp"
#include "nifs.hpp"
#include "posix_error.hpp"

namespace ep {

namespace {

EventLoop &get_loop(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *resource = nullptr;
    if (enif_get_resource(env, term, core().types.loop_handle, &resource)) {
        return *static_cast<LoopHandle *>(resource)->loop;
    }
    return *get_resource<EventLoop>(env, term, core().types.event_loop);
}

uint64_t get_uint64(ErlNifEnv *env, ERL_NIF_TERM term) {
    ErlNifUInt64 number = 0;
    if (!enif_get_uint64(env, term, &number)) {
        throw BadArgument{};
    }
    return number;
}

ErlNifPid get_pid(ErlNifEnv *env, ERL_NIF_TERM term) {
    ErlNifPid pid;
    if (!enif_get_local_pid(env, term, &pid)) {
        throw BadArgument{};
    }
    return pid;
}

// A resource of this type whose only reference is the term.
template <class Type> ERL_NIF_TERM make_resource(ErlNifEnv *env, ErlNifResourceType *type, Type content) {
    auto *resource = new (enif_alloc_resource(type, sizeof(Type))) Type{content};
    ERL_NIF_TERM term = enif_make_resource(env, resource);
    enif_release_resource(resource);
    return term;
}

// The result of `body`, or {error, Reason}.
template <class Body> ERL_NIF_TERM answered(ErlNifEnv *env, Body body) {
    try {
        return body();
    } catch (LoopRefusal refusal) {
        return make_error(env, refusal == LoopRefusal::closed ? core().atoms.closed : core().atoms.no_worker);
    } catch (const PosixError &error) {
        return make_error(env, posix_atom(env, error.number));
    }
}

} // namespace

ERL_NIF_TERM nif_event_loop_new(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    ERL_NIF_TERM handle = make_resource(env, core().types.loop_handle, LoopHandle{make_event_loop()});
    return enif_make_tuple2(env, core().atoms.ok, handle);
}

// Any number of times.
ERL_NIF_TERM nif_event_loop_destroy(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    get_loop(env, argv[0]).close(env);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_event_loop_core(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return enif_make_resource(env, &get_loop(env, argv[0]));
}

ERL_NIF_TERM nif_event_loop_join(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifPid self;
    enif_self(env, &self);
    get_loop(env, argv[0]).join(self);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_event_loop_become_worker(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifPid self;
    enif_self(env, &self);
    if (get_loop(env, argv[0]).become_worker(env, self)) {
        return core().atoms.ok;
    }
    return make_error(env, enif_make_atom(env, "refused"));
}

// Loop, Pid
ERL_NIF_TERM nif_event_loop_set_worker(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    if (loop.set_worker(env, get_pid(env, argv[1]))) {
        return core().atoms.ok;
    }
    return make_error(env, enif_make_atom(env, "refused"));
}

ERL_NIF_TERM nif_event_loop_work(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    switch (get_loop(env, argv[0]).work(env)) {
    case EventLoop::Work::done: return core().atoms.ok;
    case EventLoop::Work::more: return enif_make_atom(env, "more");
    default: return core().atoms.closed;
    }
}

// Loop, Id, Directions
ERL_NIF_TERM nif_event_loop_ready(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    const uint32_t what = get_flags(env, argv[2]);
    if (what > EventLoop::for_timer) {
        throw BadArgument{};
    }
    get_loop(env, argv[0]).ready(env, get_uint64(env, argv[1]), static_cast<uint8_t>(what));
    return core().atoms.ok;
}

// Loop, Fd, Id, read | write
ERL_NIF_TERM nif_event_loop_add(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    const uint64_t key = get_uint64(env, argv[2]);
    int fd = 0;
    if (!enif_get_int(env, argv[1], &fd) || (argv[3] != core().atoms.read && argv[3] != core().atoms.write)) {
        throw BadArgument{};
    }
    return answered(env, [&] {
        LoopFile *file = loop.add(env, fd, argv[3] == core().atoms.read ? for_reading : for_writing, key);
        ERL_NIF_TERM term = enif_make_resource(env, file);
        enif_release_resource(file);
        return enif_make_tuple2(env, core().atoms.ok, term);
    });
}

// Loop, FdRef
ERL_NIF_TERM nif_event_loop_remove(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    auto *file = get_resource<LoopFile>(env, argv[1], core().types.loop_file);
    if (file->loop() != &loop) {
        throw BadArgument{};
    }
    loop.remove(env, file);
    return core().atoms.ok;
}

// Loop, Id: {ok, TimerRef, TimerId, Worker}, who is to be told
ERL_NIF_TERM nif_event_loop_add_timer(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    const uint64_t key = get_uint64(env, argv[1]);
    return answered(env, [&] {
        ErlNifPid worker;
        const uint64_t id = loop.add_timer(key, worker);
        enif_keep_resource(&loop);
        ERL_NIF_TERM timer = make_resource(env, core().types.loop_timer, LoopTimer{&loop, id});
        return enif_make_tuple4(env, core().atoms.ok, timer, enif_make_uint64(env, id), enif_make_pid(env, &worker));
    });
}

// Loop, TimerRef: {ok, TimerId, Worker}, who is to be told; or ok when there is no worker
ERL_NIF_TERM nif_event_loop_remove_timer(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    auto *timer = get_resource<LoopTimer>(env, argv[1], core().types.loop_timer);
    if (timer->loop != &loop) {
        throw BadArgument{};
    }
    ErlNifPid worker;
    if (!loop.remove_timer(timer->id, worker)) {
        return core().atoms.ok;
    }
    return enif_make_tuple3(env, core().atoms.ok, enif_make_uint64(env, timer->id), enif_make_pid(env, &worker));
}

// Loop, Ref: {ready, N}, or {wait, Waiter}
ERL_NIF_TERM nif_event_loop_wait(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    if (!enif_is_ref(env, argv[1])) {
        throw BadArgument{};
    }
    return answered(env, [&] {
        LoopWaiter content{&loop, {}, nullptr, 0, false};
        enif_self(env, &content.pid);
        enif_keep_resource(&loop);
        ERL_NIF_TERM term = make_resource(env, core().types.loop_waiter, content);
        auto *waiter = get_resource<LoopWaiter>(env, term, core().types.loop_waiter);
        const EventLoop::Waiting waiting = loop.wait(env, waiter, argv[1]);
        return waiting.waits ? enif_make_tuple2(env, core().atoms.wait, term)
                             : enif_make_tuple2(env, core().atoms.ready, enif_make_uint64(env, waiting.ready));
    });
}

// Whether the process was not sent its message, and will not be.
ERL_NIF_TERM nif_event_loop_withdraw(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    auto *waiter = get_resource<LoopWaiter>(env, argv[0], core().types.loop_waiter);
    return waiter->loop->withdraw(waiter) ? core().atoms.true_ : core().atoms.false_;
}

ERL_NIF_TERM nif_event_loop_count(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    return answered(env, [&] { return enif_make_uint64(env, loop.count(env)); });
}

ERL_NIF_TERM nif_event_loop_wakeup(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    return answered(env, [&] {
        loop.wake(env);
        return core().atoms.ok;
    });
}

ERL_NIF_TERM nif_get_pending(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    EventLoop &loop = get_loop(env, argv[0]);
    const Atoms &atoms = core().atoms;
    return answered(env, [&] {
        loop.count(env);
        ERL_NIF_TERM list = enif_make_list(env, 0);
        loop.take(SIZE_MAX, [&](const EventLoop::Ready &ready) {
            const ERL_NIF_TERM what = ready.what == for_reading   ? atoms.read
                                      : ready.what == for_writing ? atoms.write
                                                                  : atoms.timer;
            list = enif_make_list_cell(env, enif_make_tuple2(env, enif_make_uint64(env, ready.key), what), list);
        });
        ERL_NIF_TERM in_order = list;
        enif_make_reverse_list(env, list, &in_order);
        return in_order;
    });
}

} // namespace ep
