// The NIF library: its functions, its resource types and how it is loaded.
#include "arguments.hpp"
#include "callback.hpp"
#include "context.hpp"
#include "event_loop.hpp"
#include "handles.hpp"
#include "kept_flat.hpp"
#include "loop_inbox.hpp"
#include "nifs.hpp"
#include "plugins.hpp"
#include "slot.hpp"
#include "store.hpp"
#include "task.hpp"
#include "waker.hpp"

namespace ep {

namespace {

ErlNifResourceType *open_type(ErlNifEnv *env, const char *name, ErlNifResourceDtor *destroy,
                              ErlNifResourceDown *down = nullptr, ErlNifResourceStop *stop = nullptr) {
    ErlNifResourceTypeInit init{};
    init.dtor = destroy;
    init.down = down;
    init.stop = stop;
    const auto flags = static_cast<ErlNifResourceFlags>(ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER);
    return enif_open_resource_type_x(env, name, &init, flags, nullptr);
}

bool open_types(ErlNifEnv *env) {
    ResourceTypes &types = core().types;
    types.context = open_type(env, "context", destroy_context, context_process_down);
    types.space = open_type(env, "env", destroy_space);
    types.object = open_type(env, "object", destroy_object);
    types.lent = open_type(env, "lent", destroy_lent);
    types.callback = open_type(env, "callback", destroy_callback);
    types.slot = open_type(env, "slot", destroy_slot);
    types.async = open_type(env, "async", nullptr);
    types.flat = open_type(env, "flat", destroy_kept_flat);
    types.store = open_type(env, "store", destroy_store);
    types.task = open_type(env, "task", destroy_task);
    types.loop_inbox = open_type(env, "loop_inbox", destroy_loop_inbox);
    types.event_loop = open_type(env, "event_loop", destroy_event_loop, event_loop_worker_down);
    types.loop_handle = open_type(env, "loop_handle", destroy_loop_handle);
    types.loop_file = open_type(env, "loop_file", destroy_loop_file, loop_file_worker_down, stop_loop_file);
    types.loop_waiter = open_type(env, "loop_waiter", destroy_loop_waiter);
    types.loop_timer = open_type(env, "loop_timer", destroy_loop_timer);
    types.waker = open_type(env, "waker", destroy_waker_handle);
    types.plugin = open_type(env, "plugin", destroy_plugin_resource, plugin_resource_down, stop_plugin_resource);
    return types.context && types.space && types.object && types.lent && types.callback && types.slot && types.async &&
           types.flat && types.store && types.loop_inbox && types.task && types.event_loop && types.loop_handle &&
           types.loop_file && types.loop_waiter && types.loop_timer && types.waker && types.plugin;
}

int load(ErlNifEnv *env, void **private_data, ERL_NIF_TERM info) {
    try {
        make_core(env, get_binary(env, info));
        *private_data = &core();
        return open_types(env) ? 0 : 1;
    } catch (...) {
        return 1;
    }
}

// The same library for a new version of the Erlang module. Another library would come with another Core while threads
// of this one run, so it is refused.
int upgrade(ErlNifEnv *env, void **private_data, void **old_private_data, ERL_NIF_TERM) {
    if (*old_private_data != &core()) {
        return 1;
    }
    *private_data = *old_private_data;
    return open_types(env) ? 0 : 1;
}

ErlNifFunc functions[] = {
    {"configure", 1, guarded<nif_configure>, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"start_runtime", 0, guarded<nif_start_runtime>, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"runtime", 0, guarded<nif_runtime>, 0},
    {"backends", 0, guarded<nif_backends>, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"set_host", 1, guarded<nif_set_host>, 0},
    {"host_stopped", 0, guarded<nif_host_stopped>, 0},
    {"runner_ready", 0, guarded<nif_runner_ready>, 0},
    {"runner_leaves", 0, guarded<nif_runner_leaves>, 0},
    {"execution_mode", 0, guarded<nif_execution_mode>, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"owngil_problem", 0, guarded<nif_owngil_problem>, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"load_backend", 1, guarded<nif_load_backend>, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"context_new", 2, guarded<nif_context_new>, 0},
    {"context_destroy", 1, guarded<nif_context_destroy>, 0},
    {"context_of", 1, guarded<nif_context_of>, 0},
    {"contexts", 0, guarded<nif_contexts>, ERL_NIF_DIRTY_JOB_CPU_BOUND},
    {"context_join", 1, guarded<nif_context_join>, 0},
    {"context_memory", 1, guarded<nif_context_memory>, 0},
    {"context_id", 1, guarded<nif_context_id>, 0},
    {"context_interrupt", 1, guarded<nif_context_interrupt>, 0},
    {"submit_call", 8, submit_call, 0},
    {"submit_eval", 6, submit_eval, 0},
    {"submit_exec", 5, submit_exec, 0},
    {"submit_object", 7, submit_object, 0},
    {"submit_noop", 3, submit_noop, 0},
    {"submit_task", 5, submit_task, 0},
    {"spawn_task", 6, spawn_task, 0},
    {"cancel", 1, guarded<nif_cancel>, 0},
    {"task_new", 1, guarded<nif_task_new>, 0},
    {"task_give_up", 1, guarded<nif_task_give_up>, 0},
    {"task_state", 1, guarded<nif_task_state>, 0},
    {"task_context", 1, guarded<nif_task_context>, 0},
    {"async_new", 0, guarded<nif_async_new>, 0},
    {"async_set", 2, guarded<nif_async_set>, 0},
    {"async_handle", 1, guarded<nif_async_handle>, 0},
    {"env_new", 1, guarded<nif_env_new>, 0},
    {"is_env", 1, guarded<nif_is_env>, 0},
    {"is_object", 1, guarded<nif_is_object>, 0},
    {"object_context", 1, guarded<nif_object_context>, 0},
    {"answer", 3, nif_answer, 0},
    {"build", 1, nif_build, 0},
    {"function_registered", 1, guarded<nif_function_registered>, 0},
    {"function_unregistered", 1, guarded<nif_function_unregistered>, 0},
    {"functions_clear", 0, guarded<nif_functions_clear>, 0},
    {"semaphore_acquire", 1, guarded<nif_semaphore_acquire>, 0},
    {"semaphore_cancel", 1, guarded<nif_semaphore_cancel>, 0},
    {"semaphore_release", 1, guarded<nif_semaphore_release>, 0},
    {"semaphore_current", 0, guarded<nif_semaphore_current>, 0},
    {"semaphore_max", 0, guarded<nif_semaphore_max>, 0},
    {"semaphore_set_max", 1, guarded<nif_semaphore_set_max>, 0},
    {"store_new", 0, guarded<nif_store_new>, 0},
    {"store_get", 2, guarded<nif_store_get>, 0},
    {"store_put", 4, guarded<nif_store_put>, 0},
    {"store_add", 4, guarded<nif_store_add>, 0},
    {"store_remove", 2, guarded<nif_store_remove>, 0},
    {"store_keys", 1, guarded<nif_store_keys>, ERL_NIF_DIRTY_JOB_CPU_BOUND},
    {"store_clear", 1, guarded<nif_store_clear>, ERL_NIF_DIRTY_JOB_CPU_BOUND},
    {"store_close", 1, guarded<nif_store_close>, ERL_NIF_DIRTY_JOB_CPU_BOUND},
    {"dup_fd", 1, guarded<nif_dup_fd>, 0},
    {"event_loop_new", 0, guarded<nif_event_loop_new>, 0},
    {"event_loop_destroy", 1, guarded<nif_event_loop_destroy>, 0},
    {"event_loop_core", 1, guarded<nif_event_loop_core>, 0},
    {"event_loop_join", 1, guarded<nif_event_loop_join>, 0},
    {"event_loop_become_worker", 1, guarded<nif_event_loop_become_worker>, 0},
    {"event_loop_set_worker", 2, guarded<nif_event_loop_set_worker>, 0},
    {"event_loop_work", 1, guarded<nif_event_loop_work>, 0},
    {"event_loop_ready", 3, guarded<nif_event_loop_ready>, 0},
    {"event_loop_add", 4, guarded<nif_event_loop_add>, 0},
    {"event_loop_remove", 2, guarded<nif_event_loop_remove>, 0},
    {"event_loop_add_timer", 2, guarded<nif_event_loop_add_timer>, 0},
    {"event_loop_remove_timer", 2, guarded<nif_event_loop_remove_timer>, 0},
    {"event_loop_wait", 2, guarded<nif_event_loop_wait>, 0},
    {"event_loop_withdraw", 1, guarded<nif_event_loop_withdraw>, 0},
    {"event_loop_count", 1, guarded<nif_event_loop_count>, 0},
    {"event_loop_wakeup", 1, guarded<nif_event_loop_wakeup>, 0},
    {"get_pending", 1, guarded<nif_get_pending>, 0},
    {"create_test_udp_socket", 1, guarded<nif_create_test_udp_socket>, 0},
    {"sendto_test_udp", 4, guarded<nif_sendto_test_udp>, 0},
    {"recvfrom_test_udp", 2, guarded<nif_recvfrom_test_udp>, 0},
    {"set_udp_broadcast", 2, guarded<nif_set_udp_broadcast>, 0},
    {"close_test_fd", 1, guarded<nif_close_test_fd>, 0},
    {"feed_open", 2, guarded<nif_feed_open>, 0},
    {"feed_close", 1, guarded<nif_feed_close>, 0},
    {"feed_taken", 2, guarded<nif_feed_taken>, 0},
    {"load_plugins", 1, guarded<nif_load_plugins>, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"plugin_call", 2, nif_plugin_call, 0},
    {"plugin_call", 3, nif_plugin_call, 0},
    {"plugin_call", 4, nif_plugin_call, 0},
    {"plugin_call", 5, nif_plugin_call, 0},
    {"plugin_call", 6, nif_plugin_call, 0},
    {"plugin_call", 7, nif_plugin_call, 0},
    {"plugin_call", 8, nif_plugin_call, 0},
    {"plugin_wait", 4, guarded<nif_plugin_wait>, 0},
    {"waker_done", 2, guarded<nif_waker_done>, 0},
    {"counters", 0, guarded<nif_counters>, 0},
};

} // namespace

} // namespace ep

ERL_NIF_INIT(py_nif, ep::functions, ep::load, nullptr, ep::upgrade, nullptr)
