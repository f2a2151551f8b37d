/*
 * Where every field of the ABI lies, once and for all: a field that moved does not compile. Tables grow at their ends
 * only; a field that was added, or a table that grew, has its line added here. offsets.cpp says the same to C++.
 */
#include <erlang_python/abi.h>
#include <erlang_python/backend.h>
#include <erlang_python/flat.h>
#include <erlang_python/host.h>
#include <erlang_python/plugin.h>

#define AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size: add its new fields here")
#define VALUE(name, value) _Static_assert((name) == (value), #name " has another value")

/* abi.h */
AT(ep_header, major, 0);
AT(ep_header, minor, 2);
AT(ep_header, size, 4);
SIZE(ep_header, 8);
SIZE(ep_status, 4);
SIZE(ep_level, 4);
AT(ep_error, text, 0);
SIZE(ep_error, 1024);
VALUE(EP_OK, 0);
VALUE(EP_FAILED, 1);
VALUE(EP_TOO_NEW, 2);
VALUE(EP_CLOSED, 3);
VALUE(EP_INTERRUPTED, 4);
VALUE(EP_TOO_DEEP, 5);
VALUE(EP_NO_ANSWER, 6);
VALUE(EP_WRONG_KIND, 7);
VALUE(EP_LEVEL_ERROR, 0);
VALUE(EP_LEVEL_WARNING, 1);
VALUE(EP_LEVEL_INFO, 2);
VALUE(EP_LEVEL_DEBUG, 3);

/* flat.h */
VALUE(EP_TAG_NONE, 0);
VALUE(EP_TAG_FALSE, 1);
VALUE(EP_TAG_TRUE, 2);
VALUE(EP_TAG_INT, 3);
VALUE(EP_TAG_BIGINT, 4);
VALUE(EP_TAG_FLOAT, 5);
VALUE(EP_TAG_TEXT, 6);
VALUE(EP_TAG_BYTES, 7);
VALUE(EP_TAG_ATOM, 8);
VALUE(EP_TAG_LIST, 9);
VALUE(EP_TAG_TUPLE, 10);
VALUE(EP_TAG_MAP, 11);
VALUE(EP_TAG_INTS, 12);
VALUE(EP_TAG_FLOATS, 13);
VALUE(EP_TAG_PID, 14);
VALUE(EP_TAG_BIG_TEXT, 15);
VALUE(EP_TAG_BIG_BYTES, 16);
VALUE(EP_TAG_VIEW, 17);
VALUE(EP_TAG_OBJECT, 18);
VALUE(EP_TAG_REF, 19);
VALUE(EP_TAG_REMOTE_PID, 20);
VALUE(EP_TAG_TERM, 21);
VALUE(EP_TAG_CHARLIST, 22);

/* backend.h */
VALUE(EP_OP_CALL, 1);
VALUE(EP_OP_EVAL, 2);
VALUE(EP_OP_EXEC, 3);
VALUE(EP_OP_METHOD, 4);
VALUE(EP_OP_GETATTR, 5);
VALUE(EP_OP_VALUE, 6);
VALUE(EP_OP_TASK, 7);
VALUE(EP_RETURN_OBJECT, 1);
VALUE(EP_NO_REPLY, 2);
VALUE(EP_RESULT_TERM, 0);
VALUE(EP_RESULT_FLAT, 1);

/* plugin.h */
VALUE(EP_FROM_ERLANG, 0);
VALUE(EP_FROM_PYTHON, 1);
VALUE(EP_FUNCTION_DIRTY_CPU, 1);
VALUE(EP_FUNCTION_DIRTY_IO, 2);
VALUE(EP_FUNCTION_BYTES, 4);
VALUE(EP_FUNCTION_VIEW, 8);

/* The rest has pointers in it. */
#if UINTPTR_MAX == 0xffffffffffffffff

AT(ep_slice, data, 0);
AT(ep_slice, size, 8);
SIZE(ep_slice, 16);

AT(ep_flat, bytes, 0);
AT(ep_flat, env, 16);
AT(ep_flat, terms, 24);
AT(ep_flat, term_count, 32);
SIZE(ep_flat, 40);

AT(ep_answer, status, 0);
AT(ep_answer, value, 8);
AT(ep_answer, owner, 48);
SIZE(ep_answer, 56);

AT(ep_host, header, 0);
AT(ep_host, log, 8);
AT(ep_host, env_take, 16);
AT(ep_host, env_give, 24);
AT(ep_host, call, 32);
AT(ep_host, answer_done, 40);
AT(ep_host, is_registered, 48);
AT(ep_host, forward, 56);
AT(ep_host, make_object, 64);
AT(ep_host, get_object, 72);
AT(ep_host, keep_flat, 80);
AT(ep_host, take_atom, 88);
AT(ep_host, unique, 96);
AT(ep_host, store_of, 104);
AT(ep_host, store_release, 112);
AT(ep_host, store_get, 120);
AT(ep_host, store_put, 128);
AT(ep_host, store_add, 136);
AT(ep_host, store_remove, 144);
AT(ep_host, store_keys, 152);
AT(ep_host, store_close, 160);
AT(ep_host, store_size, 168);
AT(ep_host, feed, 176);
AT(ep_host, feed_is_open, 184);
AT(ep_host, lend, 192);
AT(ep_host, poll_fd, 200);
AT(ep_host, poll, 208);
AT(ep_host, serve_requests, 216);
AT(ep_host, loop_inbox, 224);
AT(ep_host, call_async, 232);
AT(ep_host, take_answer, 240);
AT(ep_host, put_back_answer, 248);
AT(ep_host, close_loop_inbox, 256);
AT(ep_host, task_answer, 264);
AT(ep_host, task_is_open, 272);
AT(ep_host, loop_new, 280);
AT(ep_host, loop_release, 288);
AT(ep_host, loop_term, 296);
AT(ep_host, loop_close, 304);
AT(ep_host, loop_fd, 312);
AT(ep_host, loop_watch, 320);
AT(ep_host, loop_change, 328);
AT(ep_host, loop_forget, 336);
AT(ep_host, loop_rearm, 344);
AT(ep_host, loop_take, 352);
AT(ep_host, resource_new, 360);
AT(ep_host, resource_of, 368);
AT(ep_host, waker_keep, 376);
AT(ep_host, waker_wake, 384);
AT(ep_host, waker_drop, 392);
AT(ep_host, function_of, 400);
AT(ep_host, function_problem, 408);
AT(ep_host, python_class, 416);
AT(ep_host, waker_new, 424);
AT(ep_host, waker_new_for_loop, 432);
AT(ep_host, waker_wait, 440);
AT(ep_host, waker_done, 448);
AT(ep_host, task_term, 456);
AT(ep_host, task_end, 464);
AT(ep_host, task_end_copy, 472);
SIZE(ep_host, 480);
VALUE(EP_PENDING, 10);
VALUE(EP_NOT_LOADED, 11);
VALUE(EP_TOO_LONG, 12);
AT(ep_resource_type, size, 0);
AT(ep_resource_type, resource_size, 4);
AT(ep_resource_type, name, 8);
AT(ep_resource_type, python_class, 16);
AT(ep_resource_type, destroy, 24);
AT(ep_resource_type, down, 32);
AT(ep_resource_type, stop, 40);
SIZE(ep_resource_type, 48);
AT(ep_resource, type, 0);
SIZE(ep_resource, 8);
VALUE(EP_TOO_LARGE, 9);
AT(ep_ready, fd, 0);
AT(ep_ready, directions, 4);
SIZE(ep_ready, 8);
VALUE(EP_LOOP_READ, 1);
VALUE(EP_LOOP_WRITE, 2);
VALUE(EP_FEED_LOG, 0);
VALUE(EP_FEED_SPANS, 1);

AT(ep_start, size, 0);
AT(ep_start, big_integers, 4);
AT(ep_start, executable, 8);
AT(ep_start, paths, 16);
AT(ep_start, path_count, 24);
AT(ep_start, memory_limits, 32);
SIZE(ep_start, 40);

AT(ep_open, size, 0);
AT(ep_open, reserved, 4);
AT(ep_open, memory_limit, 8);
SIZE(ep_open, 16);

AT(ep_memory, used, 0);
AT(ep_memory, peak, 8);
AT(ep_memory, limit, 16);
SIZE(ep_memory, 24);

AT(ep_request, size, 0);
AT(ep_request, op, 4);
AT(ep_request, flags, 8);
AT(ep_request, result_kind, 12);
AT(ep_request, serial, 16);
AT(ep_request, env_slot, 24);
AT(ep_request, input, 32);
AT(ep_request, out, 72);
AT(ep_request, result, 80);
AT(ep_request, task, 88);
AT(ep_request, caller, 96);
SIZE(ep_request, 104);

AT(ep_backend, header, 0);
AT(ep_backend, reserved, 8);
AT(ep_backend, start, 16);
AT(ep_backend, open, 24);
AT(ep_backend, close, 32);
AT(ep_backend, attach, 40);
AT(ep_backend, detach, 48);
AT(ep_backend, serve, 56);
AT(ep_backend, release_slot, 64);
AT(ep_backend, interrupt, 72);
AT(ep_backend, memory, 80);
AT(ep_backend, take_back, 88);
SIZE(ep_backend, 96);

AT(ep_function, name, 0);
AT(ep_function, arity, 8);
AT(ep_function, flags, 12);
AT(ep_function, body, 16);
SIZE(ep_function, 24);

AT(ep_call, size, 0);
AT(ep_call, from, 4);
AT(ep_call, env, 8);
AT(ep_call, sender, 16);
AT(ep_call, args, 24);
AT(ep_call, waker, 32);
AT(ep_call, result, 40);
AT(ep_call, owner, 48);
AT(ep_call, release, 56);
SIZE(ep_call, 64);

AT(ep_plugin, header, 0);
AT(ep_plugin, function_count, 8);
AT(ep_plugin, reserved, 12);
AT(ep_plugin, functions, 16);
AT(ep_plugin, open, 24);
SIZE(ep_plugin, 32);

#endif

/* The entries, as a backend and a plugin declare them. */
EP_EXPORT ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error);
EP_EXPORT ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error);
