// Every NIF of the module py_nif, by the file that has it.
#pragma once

#include <erl_nif.h>

namespace ep {

using NifFunction = ERL_NIF_TERM (*)(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// submit_nifs.cpp
extern NifFunction submit_call, submit_eval, submit_exec, submit_object, submit_noop;

// task_nifs.cpp
extern NifFunction submit_task;
extern NifFunction spawn_task;
ERL_NIF_TERM nif_task_new(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_task_give_up(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_task_state(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_task_context(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// answer_nifs.cpp
extern NifFunction nif_answer, nif_build;
ERL_NIF_TERM nif_cancel(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// context_nifs.cpp
ERL_NIF_TERM nif_context_new(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_context_destroy(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_context_of(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_contexts(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_context_join(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_context_id(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_context_interrupt(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_context_memory(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_load_backend(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_env_new(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_is_env(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_is_object(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_object_context(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_async_new(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_async_set(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_async_handle(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// runtime_nifs.cpp
ERL_NIF_TERM nif_configure(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_start_runtime(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_runtime(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_backends(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_set_host(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_host_stopped(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_runner_ready(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_runner_leaves(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_execution_mode(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_owngil_problem(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_function_registered(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_function_unregistered(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_functions_clear(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_semaphore_acquire(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_semaphore_cancel(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_semaphore_release(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_semaphore_current(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_semaphore_max(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_semaphore_set_max(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_counters(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// store_nifs.cpp
ERL_NIF_TERM nif_store_new(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_store_get(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_store_put(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_store_add(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_store_remove(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_store_keys(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_store_clear(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_store_close(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// plugin_nifs.cpp
ERL_NIF_TERM nif_load_plugins(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_plugin_call(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_plugin_wait(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_waker_done(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// fd_nifs.cpp
ERL_NIF_TERM nif_dup_fd(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// event_loop_nifs.cpp
ERL_NIF_TERM nif_event_loop_new(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_destroy(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_core(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_join(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_become_worker(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_set_worker(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_work(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_ready(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_add(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_remove(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_add_timer(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_remove_timer(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_wait(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_withdraw(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_count(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_event_loop_wakeup(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_get_pending(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// udp_nifs.cpp
ERL_NIF_TERM nif_create_test_udp_socket(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_sendto_test_udp(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_recvfrom_test_udp(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_set_udp_broadcast(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_close_test_fd(ErlNifEnv *, int, const ERL_NIF_TERM[]);

// feed.cpp
ERL_NIF_TERM nif_feed_open(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_feed_close(ErlNifEnv *, int, const ERL_NIF_TERM[]);
ERL_NIF_TERM nif_feed_taken(ErlNifEnv *, int, const ERL_NIF_TERM[]);

} // namespace ep
