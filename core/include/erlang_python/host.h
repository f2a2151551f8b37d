/*
 * What the core gives to backends and plugins. One table for the life of the VM.
 */
#ifndef ERLANG_PYTHON_HOST_H
#define ERLANG_PYTHON_HOST_H

#include "abi.h"
#include "flat.h"
#include <erl_nif.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A context as the core knows it. The core owns it; a backend may use it from `open` to the call of `close`. */
typedef struct ep_context ep_context;

/* A task of an event loop: a result that will come, as the core knows it. */
typedef struct ep_task ep_task;

/* The answer to ep_host.call. */
typedef struct ep_answer {
    ep_status status; /* EP_OK: `value` is what the function returned. EP_FAILED: `value` is one TEXT, the reason.
                         EP_CLOSED, EP_NOT_RUNNING, EP_INTERRUPTED, EP_TOO_DEEP, EP_NO_ANSWER: `value` is empty. */
    ep_flat value;    /* valid until answer_done */
    void *owner;      /* the core's own */
} ep_answer;

/* Terms by key, shared by processes and Python threads: a SharedDict. A NULL where one is asked for is py_state's. */
typedef struct ep_store ep_store;

/* What Python tells one process of Erlang without waiting. */
typedef enum ep_feed { EP_FEED_LOG = 0, EP_FEED_SPANS = 1 } ep_feed;

/* How ep_host.call waits. Flags; unknown ones are ignored. ALONE: only those that the function depends on are let in
   meanwhile, unless it takes very long: for code that does not know that it calls, such as print(). */
#define EP_CALL_ALONE 1u
/* What ep_host.poll came to: a set of these. */
#define EP_POLL_READY 1u       /* `sleep` has found files that are ready */
#define EP_POLL_REQUESTS 2u    /* ep_host.serve_requests has something to do */
#define EP_POLL_INTERRUPTED 4u /* the request that polls was interrupted, or its context stops */
#define EP_POLL_FAILED 8u      /* `sleep` has; errno is what it left */
/* How it is called. */
#define EP_POLL_ALL 1u      /* every request may be served, else those that the polling one depends on, as in `call` */
#define EP_POLL_CLEANING 2u /* it has been interrupted and is told no more; it looks around often instead */

/* Looks for files that are ready, for so many nanoseconds; less than 0: until there are some. Returns how many,
   not counting poll_fd, or -1 with errno. */
typedef int32_t (*ep_sleep)(void *argument, int64_t nanoseconds);

/* Files that the VM watches for one event loop of Python. */
typedef struct ep_event_loop ep_event_loop;
/* What a file is watched for: a set of these. */
#define EP_LOOP_READ 1u
#define EP_LOOP_WRITE 2u
/* What ep_host.loop_take gives. */
typedef struct ep_ready {
    int32_t fd;
    uint32_t directions;
} ep_ready;

/* Whoever waits for what is not there yet: a process, a thread of Python, a coroutine. See waker_keep. */
typedef struct ep_waker ep_waker;

/* One call of a function of a plugin, and the function: plugin.h. */
typedef struct ep_call ep_call;
typedef struct ep_function ep_function;

/* A type of resources of a plugin, which lives as long as the VM. */
typedef struct ep_resource_type {
    uint32_t size;          /* of this struct */
    uint32_t resource_size; /* bytes of a resource, which begins with an ep_resource */
    const char *name;       /* for messages */
    const char
        *python_class; /* "module:Class", NUL-terminated: what a reference to such a resource becomes in Python, a
                                 subclass of erlang.Handle; or NULL: an erlang.Ref */
    /* As those of ErlNifResourceTypeInit; each may be NULL. The memory is not theirs to free. */
    void (*destroy)(ErlNifEnv *env, void *resource);                                      /* [any-thread] */
    void (*down)(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor); /* [any-thread] */
    void (*stop)(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct_call);  /* [any-thread] */
} ep_resource_type;

/* How every resource begins. Its address is what enif_make_resource, enif_keep_resource, enif_release_resource,
   enif_make_resource_binary, enif_select and enif_monitor_process take. */
typedef struct ep_resource {
    const ep_resource_type *type; /* written by resource_new */
} ep_resource;

typedef struct ep_host {
    ep_header header;

    /* Writes a line to Erlang's logger. Never blocks; lines are dropped when the application is not running.
       [any-thread] */
    void (*log)(ep_level level, const char *text, size_t size);

    /* A process-independent environment from a pool, empty. To be given back with env_give, or given away to a
       function that says it consumes it. Never NULL: out of memory ends the VM, as it does everywhere in it.
       [any-thread] */
    ErlNifEnv *(*env_take)(void);
    void (*env_give)(ErlNifEnv *env);

    /* Calls a function registered in Erlang and waits for its answer. `name` is a binary or an atom, `args` a list; both
       live in `env`, which is consumed. The function runs in the process that made the request `context` is serving
       where that process waits for it, else in a process of its own.
       With a context, called on its thread: the thread goes on serving its inbox while it waits, and lets go of the
       interpreter whenever it sleeps. [context-thread][attached]
       With NULL, called on any other thread, which must not be attached: it sleeps until the answer is there.
       [any-thread]
       `flags` are EP_CALL_*. `answer` is always filled and must be released with answer_done. */
    void (*call)(ep_context *context, ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args, uint32_t flags,
                 ep_answer *answer);
    void (*answer_done)(ep_answer *answer);

    /* Whether a function of that name is registered in Erlang. [any-thread] */
    int32_t (*is_registered)(const char *name, size_t size);

    /* Sends `message` to a name registered on another node, to a remote pid, or to any other destination `!` takes,
       by way of a process. `destination` and `message` live in `env`, which is consumed. EP_NOT_RUNNING when the
       application is not. [any-thread] */
    ep_status (*forward)(ErlNifEnv *env, ERL_NIF_TERM destination, ERL_NIF_TERM message);

    /* Makes a handle: a reference in `env` that stands for object `slot` of interpreter `interpreter`. When the last
       copy of it is gone the core calls ep_backend.release_slot on the context's thread.
       [context-thread][attached] */
    ERL_NIF_TERM (*make_object)(ErlNifEnv *env, ep_context *context, uint64_t interpreter, uint64_t slot);
    /* The other way. EP_WRONG_KIND when `term` is no handle, EP_CLOSED when its context is stopping. [any-thread] */
    ep_status (*get_object)(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t *interpreter, uint64_t *slot);

    /* Keeps a copy of a flat value for the process that waits for it, which makes the terms itself. A reference in
       `env`, to be the result of a request with EP_RESULT_FLAT. [any-thread] */
    ERL_NIF_TERM (*keep_flat)(ErlNifEnv *env, const ep_flat *value);

    /* Takes one from the VM-wide budget of names that Python code may turn into new atoms (erlang.atom, names of
       exception classes). 0 when it is spent. [any-thread] */
    int32_t (*take_atom)(void);

    /* A number of this VM, never given twice, never 0: for interpreters and whatever else needs a name.
       [any-thread] */
    uint64_t (*unique)(void);

    /* The store a reference stands for, counted: to be released. EP_WRONG_KIND when it stands for none. [any-thread] */
    ep_status (*store_of)(ErlNifEnv *env, ERL_NIF_TERM term, ep_store **store);
    void (*store_release)(ep_store *store);
    /* What follows answers EP_CLOSED for a store that was destroyed, and EP_TOO_LARGE for a key of more than 64 KiB, or
       with a map of more than 32 pairs in it. Keys and values live in `env`, results are made there. [any-thread] */
    /* A copy of a value; *pickled says that it is a binary with what pickle made of it. EP_FAILED: no such key. */
    ep_status (*store_get)(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM *value, int32_t *pickled);
    /* Stores a value, and a binary with its pickle, or 0. py_state takes no new keys this way, since Erlang says how
       many there may be: EP_FAILED. */
    ep_status (*store_put)(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, ERL_NIF_TERM pickled);
    /* Adds to a counter. EP_FAILED: no such key in py_state. EP_WRONG_KIND: no integer, or beyond 64 bits. */
    ep_status (*store_add)(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, int64_t *sum);
    /* EP_FAILED: no such key. */
    ep_status (*store_remove)(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key);
    /* A list, in no order. */
    ep_status (*store_keys)(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM *keys);
    /* Destroys it, whoever holds references. */
    ep_status (*store_close)(ep_store *store);
    ep_status (*store_size)(ep_store *store, uint64_t *size);

    /* Sends a message to the process that reads a feed. EP_FAILED: too many are unread; it is dropped, and the process
       will be told how many were. EP_NOT_RUNNING: no process reads it. `message` lives in `env`, which stays the caller's
       and has to be cleared. [any-thread] */
    ep_status (*feed)(uint32_t feed, ErlNifEnv *env, ERL_NIF_TERM message);
    /* Whether it is worth making a message. [any-thread] */
    int32_t (*feed_is_open)(uint32_t feed);

    /* Makes a binary in `env` of memory that object `slot` of interpreter `interpreter` owns and that never changes:
       Erlang looks at it where it is. When the last copy of the binary is gone the core calls ep_backend.release_slot on
       the context's thread; or ep_backend.take_back, when the context is gone. The memory outlives the interpreter.
       [context-thread][attached] */
    ERL_NIF_TERM (*lend)(ErlNifEnv *env, ep_context *context, uint64_t interpreter, uint64_t slot, ep_slice data);

    /* For event loops on a context's thread. A file descriptor that becomes readable when somebody wants the thread while
       `poll` sleeps; -1 with errno. It lives as long as the context. [context-thread][attached] */
    int32_t (*poll_fd)(ep_context *context);
    /* Calls `sleep`, which has to watch poll_fd, too: detached, or attached when it is not to wait. Returns when that has
       found something, a request has come that may be served, or so many nanoseconds are over; less than 0: whenever.
       [context-thread][attached] */
    uint32_t (*poll)(ep_context *context, ep_sleep sleep, void *argument, int64_t nanoseconds, uint32_t flags);
    /* Serves the requests that have come, on top of the one that polls, some of them at most. `flags` as there.
       [context-thread][attached] */
    void (*serve_requests)(ep_context *context, uint32_t flags);

    /* Where the answers of call_async come in: a term for it in `env`, and a file descriptor for an event loop to watch,
       readable while there is one; gone with the last reference. 0: there is no file descriptor to be had; errno says
       why. [any-thread] */
    ERL_NIF_TERM (*loop_inbox)(ErlNifEnv *env, int32_t *fd);
    /* As call(), without a wait: the answer comes to `inbox`, under `number`. Name and arguments live in `env`, which is
       consumed whatever happens; the inbox does not, or it would live as long as the message. `context` is that of the
       thread, or NULL. EP_WRONG_KIND: it is no inbox; EP_NOT_RUNNING: nobody runs the function. [any-thread] */
    ep_status (*call_async)(ep_context *context, ErlNifEnv *env, ERL_NIF_TERM name, ERL_NIF_TERM args,
                            ERL_NIF_TERM inbox, uint64_t number);
    /* The oldest answer that has come, for answer_done; 0 after the last one, and when there was none at all the file
       descriptor is not readable any more. `env` is where `inbox` lives. [any-thread] */
    int32_t (*take_answer)(ErlNifEnv *env, ERL_NIF_TERM inbox, uint64_t *number, ep_answer *answer);
    /* Instead of answer_done, for one that could not be seen to: it is the oldest one again. [any-thread] */
    void (*put_back_answer)(ErlNifEnv *env, ERL_NIF_TERM inbox, ep_answer *answer);
    /* Closes the file descriptor; answers that come later are dropped. Any number of times. [any-thread] */
    void (*close_loop_inbox)(ErlNifEnv *env, ERL_NIF_TERM inbox);

    /* Ends a task of an event loop: its creator gets {async_result, Task, Result}. Both terms live in `env`, which is
       sent and cleared. EP_WRONG_KIND: it is no task; EP_FAILED: it is over already, or nobody wants it any more.
       [any-thread] */
    ep_status (*task_answer)(ErlNifEnv *env, ERL_NIF_TERM task, ERL_NIF_TERM result);
    /* Whether the creator waits for it. 0 also for what is no task. [any-thread] */
    int32_t (*task_is_open)(ErlNifEnv *env, ERL_NIF_TERM task);

    /* For selectors that leave it to the VM to watch files, which does that for a process, the worker of the loop. The
       functions that take a loop may not be called on two threads at once with the same one.
       A new loop, to be given back with loop_release, which also closes it; NULL with errno. It needs a worker: the
       application starts one when it is told the term that stands for the loop. [any-thread] */
    ep_event_loop *(*loop_new)(void);
    void (*loop_release)(ep_event_loop *loop);
    ERL_NIF_TERM (*loop_term)(ErlNifEnv *env, ep_event_loop *loop);
    /* Has the worker end, and the VM let go of the files, soon. Any number of times. [any-thread] */
    void (*loop_close)(ep_event_loop *loop);
    /* A file descriptor that is readable when loop_take has something to say; -1 with errno. It lives until the loop is
       closed. [any-thread] */
    int32_t (*loop_fd)(ep_event_loop *loop);
    /* Begins to watch a file, which the loop knows by this file descriptor, though it watches a copy; for other
       directions; and no more. The copy is closed when loop_forget returns, which waits for the VM and must not be
       attached; or later, when that has not done so within half a second. 0, or an errno; ESRCH without a worker, or
       for a file that is not watched; EEXIST for one that is. [any-thread] */
    int32_t (*loop_watch)(ep_event_loop *loop, int32_t fd, uint32_t directions);
    int32_t (*loop_change)(ep_event_loop *loop, int32_t fd, uint32_t directions);
    int32_t (*loop_forget)(ep_event_loop *loop, int32_t fd);
    /* To be called before waiting: has the VM look at what was added, changed or taken since. [any-thread] */
    void (*loop_rearm)(ep_event_loop *loop);
    /* What is ready, as many as there is room for; loop_fd stays readable when there are more. Returns how many, or -1:
       there is no worker, and nothing will ever be ready again. [any-thread] */
    int32_t (*loop_take)(ep_event_loop *loop, ep_ready *ready, size_t room);

    /* For plugins.
       A new resource: zeros but for its beginning, counted once for the caller. [any-thread] */
    void *(*resource_new)(const ep_resource_type *type);
    /* The resource of that type that a reference stands for; it lives as long as the reference does. EP_WRONG_KIND: it
       stands for none. `env` as for enif_get_resource. [any-thread] */
    ep_status (*resource_of)(ErlNifEnv *env, ERL_NIF_TERM term, const ep_resource_type *type, void **resource);

    /* A function that answers EP_PENDING keeps the waker of its call, once, and puts it where whatever it waits for
       finds it; with the lock held that guards both, or a wake is missed. `resource` is kept until the wait is over.
       Such a waker is taken out of there exactly once: by who calls waker_wake, or by `given_up`, which is called when
       the waiter does not wait any more, or was woken and has not called again:
         it is still there:      take it out, and waker_drop it
         it is there no more:    it was woken, or is being woken, in vain: wake the next one, if there is what to wake for
       It may be called more than once for one that was woken.
       `sender` is for waker_wake. given_up is called without any lock of the core's, and must not block. [any-thread] */
    void (*waker_keep)(ep_waker *waker, void *resource,
                       void (*given_up)(void *resource, ep_waker *waker, ErlNifEnv *sender));
    /* Wakes a waker that has been taken out, and consumes it. 0: nobody waits there any more; wake the next one. May be
       called with locks held that given_up takes. `sender` is the one of the call that wakes. [any-thread] */
    int32_t (*waker_wake)(ep_waker *waker, ErlNifEnv *sender);
    /* Consumes one without waking it. [any-thread] */
    void (*waker_drop)(ep_waker *waker);

    /* For backends.
       A function of a plugin that is loaded, for the life of the VM; NULL. It answers EP_NOT_LOADED while the
       configuration leaves the plugin out. [any-thread] */
    const ep_function *(*function_of)(const char *plugin, const char *name, uint32_t arity);
    /* Why there is none: a sentence. [any-thread] */
    void (*function_problem)(const char *plugin, const char *name, uint32_t arity, ep_error *error);
    /* The class that a reference becomes in Python, or NULL. [any-thread] */
    const char *(*python_class)(ErlNifEnv *env, ERL_NIF_TERM term);
    /* A waker for one wait of this thread, which is that context's, or none's. To be given back with waker_done. */
    ep_waker *(*waker_new)(ep_context *context);
    /* The same for a coroutine: an answer to `number` without a value comes to `inbox`. NULL: it is no inbox.
       [any-thread] */
    ep_waker *(*waker_new_for_loop)(ErlNifEnv *env, ERL_NIF_TERM inbox, uint64_t number);
    /* Sleeps until it is woken, for so many nanoseconds at most, less than 0: for ever. Of a context's thread, which
       serves others meanwhile as in `call` and may be attached when this is called, and is when it returns; or of
       another one, which must not be attached. EP_OK: woken. EP_PENDING: the time is over. EP_INTERRUPTED, EP_CLOSED. */
    ep_status (*waker_wait)(ep_context *context, ep_waker *waker, int64_t nanoseconds);
    /* Gives it back. `called_again`: after it was woken. [any-thread] */
    void (*waker_done)(ep_waker *waker, int32_t called_again, ErlNifEnv *sender);
    /* For the task of a request (EP_OP_TASK): the reference, made in `env`, that task_answer takes and that keeps it beyond
       the request; and task_answer itself, without one. [any-thread] */
    ERL_NIF_TERM (*task_term)(ErlNifEnv *env, ep_task *task);
    ep_status (*task_end)(ep_task *task, ErlNifEnv *env, ERL_NIF_TERM result);
    /* The same for a small result: what is sent is a copy, and `env` keeps its contents. [any-thread] */
    ep_status (*task_end_copy)(ep_task *task, ErlNifEnv *env, ERL_NIF_TERM result);
} ep_host;

#ifdef __cplusplus
}
#endif
#endif
