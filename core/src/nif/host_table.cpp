#include "host_table.hpp"

#include "callback.hpp"
#include "context.hpp"
#include "core.hpp"
#include "event_loop.hpp"
#include "feed.hpp"
#include "handles.hpp"
#include "kept_flat.hpp"
#include "loop_inbox.hpp"
#include "plugins.hpp"
#include "store.hpp"
#include "task.hpp"
#include "waker.hpp"

#include <cstdio>

namespace ep {

namespace {

void host_log(ep_level level, const char *text, size_t size) {
    core().host_process.log(nullptr, level, {text, size});
}

void host_answer_done(ep_answer *answer) {
    if (answer->owner != nullptr) {
        recycle(static_cast<Reply *>(answer->owner));
        answer->owner = nullptr;
    }
}

int32_t host_is_registered(const char *name, size_t size) {
    return core().functions.contains({name, size}) ? 1 : 0;
}

ep_status host_forward(ErlNifEnv *env, ERL_NIF_TERM destination, ERL_NIF_TERM message) {
    bool sent =
        core().host_process.send(nullptr, env, enif_make_tuple3(env, core().atoms.forward, destination, message));
    give_env(env);
    return sent ? EP_OK : EP_NOT_RUNNING;
}

ERL_NIF_TERM host_make_object(ErlNifEnv *env, ep_context *context, uint64_t interpreter, uint64_t slot) {
    return make_object(env, static_cast<Context *>(context), interpreter, slot);
}

ep_status host_get_object(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t *interpreter, uint64_t *slot) {
    void *resource = nullptr;
    if (!enif_get_resource(env, term, core().types.object, &resource)) {
        return EP_WRONG_KIND;
    }
    auto *object = static_cast<Object *>(resource);
    if (object->context->stopping()) {
        return EP_CLOSED;
    }
    *interpreter = object->interpreter;
    *slot = object->slot;
    return EP_OK;
}

const ep_function *host_function_of(const char *plugin, const char *name, uint32_t arity) {
    return core().plugins.find(plugin, name, arity);
}

void host_function_problem(const char *plugin, const char *name, uint32_t arity, ep_error *error) {
    const std::string text = core().plugins.problem(plugin, name, arity);
    std::snprintf(error->text, sizeof error->text, "%s", text.c_str());
}

ERL_NIF_TERM host_keep_flat(ErlNifEnv *env, const ep_flat *value) {
    return make_kept_flat(env, *value);
}

int32_t host_take_atom() {
    if (core().atoms_made.fetch_add(1) < core().max_atoms.load()) {
        return 1;
    }
    core().atoms_made.fetch_sub(1);
    return 0;
}

uint64_t host_unique() {
    return core().next_unique.fetch_add(1);
}

int32_t host_poll_fd(ep_context *context) {
    return static_cast<Context *>(context)->poll_fd();
}

uint32_t host_poll(ep_context *context, ep_sleep sleep, void *argument, int64_t nanoseconds, uint32_t flags) {
    return static_cast<Context *>(context)->poll(sleep, argument, nanoseconds, flags);
}

void host_serve_requests(ep_context *context, uint32_t flags) {
    static_cast<Context *>(context)->serve_requests(flags);
}

constexpr ep_host table{
    {EP_ABI_MAJOR, EP_ABI_MINOR, sizeof(ep_host)},
    host_log,
    take_env,
    give_env,
    call_erlang,
    host_answer_done,
    host_is_registered,
    host_forward,
    host_make_object,
    host_get_object,
    host_keep_flat,
    host_take_atom,
    host_unique,
    store_of,
    store_release,
    store_get,
    store_put,
    store_add,
    store_remove,
    store_keys,
    store_close,
    store_size,
    feed,
    feed_is_open,
    lend,
    host_poll_fd,
    host_poll,
    host_serve_requests,
    make_loop_inbox,
    call_async,
    take_answer,
    put_back_answer,
    close_loop_inbox,
    task_answer,
    task_is_open,
    loop_new,
    loop_release,
    loop_term,
    loop_close,
    loop_fd,
    loop_watch,
    loop_change,
    loop_forget,
    loop_rearm,
    loop_take,
    plugin_resource_new,
    plugin_resource_of,
    waker_keep,
    waker_wake,
    waker_drop,
    host_function_of,
    host_function_problem,
    plugin_python_class,
    waker_new,
    waker_new_for_loop,
    waker_wait,
    waker_done,
    task_term,
    task_end,
    task_end_copy,
};

} // namespace

const ep_host &host_table() noexcept {
    return table;
}

} // namespace ep
