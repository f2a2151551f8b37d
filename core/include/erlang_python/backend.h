/*
 * An execution backend: the one shared object that knows Python. The core opens the manifest's libpython, checks it,
 * then opens the backend and calls its only exported symbol.
 */
#ifndef ERLANG_PYTHON_BACKEND_H
#define ERLANG_PYTHON_BACKEND_H

#include "abi.h"
#include "flat.h"
#include "host.h"
#include <erl_nif.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A context's hold on an interpreter, the backend's own type. Made by `open` and gone after `close`. */
typedef struct ep_interp ep_interp;

/* How the VM-wide Python is initialised. Paths are NUL-terminated UTF-8; borrowed for the call. */
typedef struct ep_start {
    uint32_t size;            /* of this struct */
    uint32_t big_integers;    /* 1: integers beyond 64 bits become Erlang integers. 0: strings of decimal digits */
    const char *executable;   /* what sys.executable says; prefix and standard library are found from it */
    const char *const *paths; /* put in front of sys.path of every interpreter */
    size_t path_count;
    uint32_t memory_limits; /* 1: contexts with a memory_limit will be opened; a backend that can do that prepares */
} ep_start;

/* What a context is to be like. */
typedef struct ep_open {
    uint32_t size; /* of this struct */
    uint32_t reserved;
    uint64_t memory_limit; /* bytes its interpreter may take beyond what it has when it is new; 0: no limit */
} ep_open;

/* Bytes that an interpreter has taken since it was opened. */
typedef struct ep_memory {
    uint64_t used;
    uint64_t peak;  /* the most there ever were */
    uint64_t limit; /* 0: none */
} ep_memory;

/* What `serve` is asked to do. `input` holds the operands in this order, one flat value each. */
typedef enum ep_op {
    EP_OP_CALL = 1,    /* module, function, args (LIST or INTS or FLOATS), kwargs (MAP) -> {ok, Result} */
    EP_OP_EVAL = 2,    /* source, locals (MAP) -> {ok, Result} */
    EP_OP_EXEC = 3,    /* source -> ok */
    EP_OP_METHOD = 4,  /* object, name, args, kwargs -> {ok, Result} */
    EP_OP_GETATTR = 5, /* object, name -> {ok, Result} */
    EP_OP_VALUE = 6,   /* object -> {ok, Result}: the object as a term */
    EP_OP_TASK = 7     /* as CALL, on the event loop of the context -> ok; `task` gets the result, awaited if need be */
} ep_op;

#define EP_RETURN_OBJECT 1u /* the result crosses as a handle instead of as a term */
#define EP_NO_REPLY 2u      /* nobody waits: do not build a result */

#define EP_RESULT_TERM 0u
#define EP_RESULT_FLAT 1u

/* One piece of work. The core owns it; valid until `serve` returns. */
typedef struct ep_request {
    uint32_t size;        /* of this struct */
    uint32_t op;          /* ep_op */
    uint32_t flags;       /* EP_RETURN_OBJECT, EP_NO_REPLY */
    uint32_t result_kind; /* written by `serve`: EP_RESULT_TERM, or EP_RESULT_FLAT */
    uint64_t serial;      /* names this request to ep_backend.interrupt; unique in the VM */
    uint64_t *env_slot;   /* where the namespace is: NULL is the context's own; *env_slot == 0 is one not made yet, and
                           the backend writes its slot there */
    ep_flat input;
    ErlNifEnv *out;      /* where to build the result */
    ERL_NIF_TERM result; /* written by `serve`: ok, {ok, Term} or {error, Reason}; or what ep_host.keep_flat made of the
                            value of an {ok, Value} that the waiting process is to build */
    ep_task *task;       /* EP_OP_TASK: to be ended with the result; NULL: nobody wants it */
    ERL_NIF_TERM caller; /* EP_OP_TASK: the process that has submitted it, a pid of this node */
} ep_request;

typedef struct ep_backend {
    ep_header header;
    uint64_t reserved;

    /* Initialises Python, or joins in where another backend of the same Python has done so before. Called once. On
       failure the backend cannot be tried again in this VM. [python-main] */
    ep_status (*start)(const ep_start *options, ep_error *error);

    /* Gives a context its interpreter and leaves the thread detached. On failure there is nothing to close.
       [context-thread] */
    ep_status (*open)(ep_context *context, const ep_open *options, ep_interp **interp, ep_error *error);
    /* Ends it; slots of this context are freed. Called detached, when the context itself is gone already. May take as
       long as Python code does to end. [context-thread] */
    void (*close)(ep_interp *interp);

    /* Attach lets the thread run Python (takes the GIL where there is one), detach ends that. Never nested.
       [context-thread] */
    void (*attach)(ep_interp *interp);
    void (*detach)(ep_interp *interp);

    /* Does one request and writes its result. Re-entered while ep_host.call waits. No exception, no error indicator and
       no pending interrupt outlives it. [context-thread][attached] */
    void (*serve)(ep_interp *interp, ep_request *request);

    /* Frees an environment or an object that a handle stood for. [context-thread][attached] */
    void (*release_slot)(ep_interp *interp, uint64_t slot);

    /* Raises erlang.Interrupted in the Python code of request `serial` if it is the one `interp` runs at this moment:
       EP_OK. Else, or when it is not safe just now, does nothing: EP_FAILED; the core asks again as long as the request
       is not over. May wait for a GIL that all contexts of this backend share, and for no other. Never concurrent with
       `close` of the same interpreter. [any-thread], one at a time; [python-main] for contexts in the main interpreter */
    ep_status (*interrupt)(ep_interp *interp, uint64_t serial);

    /* What the interpreter has taken, for a context that was opened with a limit. NULL: this backend has no limits.
       Never concurrent with `close` of the same interpreter. [any-thread] */
    void (*memory)(ep_interp *interp, ep_memory *memory);

    /* Frees an object whose memory was lent to Erlang (ep_host.lend), after the core has called `close` for the context
       that lent it, or while that runs, or when that is about to. May wait for a GIL. [python-main] */
    void (*take_back)(uint64_t interpreter, uint64_t slot);
} ep_backend;

/* The one symbol a backend exports. `table` comes with its header filled in: the version and the size the core asks
   for. `host` lives as long as the VM. EP_TOO_NEW when either is not what the backend was built for: it never looks
   further then, and leaves its own version in the table's header.
   Rationale: an error that names both versions is the only one that says what to install. */
#define EP_BACKEND_ENTRY erlang_python_backend_entry
#define EP_BACKEND_ENTRY_NAME "erlang_python_backend_entry"
typedef ep_status (*ep_backend_entry)(const ep_host *host, ep_backend *table, ep_error *error);

#ifdef __cplusplus
}
#endif
#endif
