/*
 * A feature plugin: functions and resource types that Erlang and Python share, without any knowledge of Python.
 * One binary serves every Python and every backend. docs/writing-plugins.md teaches this page.
 */
#ifndef ERLANG_PYTHON_PLUGIN_H
#define ERLANG_PYTHON_PLUGIN_H

#include "abi.h"
#include "host.h"
#include <erl_nif.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who calls a function. */
#define EP_FROM_ERLANG 0u
#define EP_FROM_PYTHON 1u

/* One call of a function of a plugin, owned by the caller and gone when the function returns. */
typedef struct ep_call {
    uint32_t size;            /* of this struct */
    uint32_t from;            /* EP_FROM_* */
    ErlNifEnv *env;           /* the result is made here; whatever else is made here is gone soon */
    ErlNifEnv *sender;        /* what enif_send takes as the caller's: `env`, or NULL on a thread of Python */
    const ERL_NIF_TERM *args; /* as many as the arity. They may be looked at until the function returns, with `env`; but
                                  they may live elsewhere: one that becomes part of a result, or is kept, is copied with
                                  enif_make_copy first */
    ep_waker *waker;          /* for EP_PENDING; NULL: the caller does not wait */

    /* What the function fills in; all of it is zero before. */
    ERL_NIF_TERM result;          /* EP_OK: the value; 0 stands for none. EP_FAILED: the reason */
    void *owner;                  /* not NULL: `result` does not live in `env` but as long as this; */
    void (*release)(void *owner); /* which ends with this call; of what Python gets with EP_FUNCTION_VIEW, when it does
                                      not look at the memory any more [any-thread] */
} ep_call;

/*
 * What a function comes to:
 *   EP_OK          Erlang gets `ok` or {ok, Value}, Python None or the value.
 *   EP_FAILED      Erlang gets {error, Reason}, Python erlang.PluginError(reason).
 *   EP_PENDING     nothing yet. With a waker the function has called ep_host.waker_keep, and wakes it when it is worth
 *                  calling again; without one Erlang gets the atom `pending`.
 *   EP_WRONG_KIND  badarg in Erlang, TypeError in Python; nothing was done.
 *   EP_CLOSED      as EP_FAILED with the reason `closed`.
 *   EP_NOT_LOADED  never its own: what backends get instead while the configuration leaves the plugin out.
 *   EP_TOO_LONG    called on a scheduler, it has done nothing and is called again on a dirty one.
 */
typedef ep_status (*ep_function_body)(ep_call *call);

/* Flags of a function; unknown ones are ignored. */
#define EP_FUNCTION_DIRTY_CPU 1u /* computes for more than a millisecond */
#define EP_FUNCTION_DIRTY_IO 2u  /* blocks for more than a millisecond */
#define EP_FUNCTION_BYTES 4u     /* to Python a binary in its result is bytes, else str where it is UTF-8 */
#define EP_FUNCTION_VIEW 8u      /* to Python its result, a binary, is a read-only memoryview over it, without a copy */

/* Called from Erlang: [scheduler], or [dirty] with a flag that says so or after EP_TOO_LONG. Called from Python:
   [any-thread], attached to an interpreter, and so not to block, but with a DIRTY flag detached from it. No exception
   of C++ may leave it. */
typedef struct ep_function {
    const char *name; /* NUL-terminated, Latin-1 */
    uint32_t arity;   /* 6 at most */
    uint32_t flags;
    ep_function_body body;
} ep_function;

typedef struct ep_plugin {
    ep_header header;
    uint32_t function_count;
    uint32_t reserved;
    const ep_function *functions; /* live as long as the VM. One name may come with several arities */

    /* NULL, or: called once, before any function of the plugin. EP_OK, or EP_FAILED with the error filled in, and then
       the plugin is not loaded. `host` lives as long as the VM. [dirty] */
    ep_status (*open)(ErlNifEnv *env, const ep_host *host, ep_error *error);
} ep_plugin;

/* The one symbol a plugin exports; the rules of erlang_python_backend_entry. */
#define EP_PLUGIN_ENTRY erlang_python_plugin_entry
#define EP_PLUGIN_ENTRY_NAME "erlang_python_plugin_entry"
typedef ep_status (*ep_plugin_entry)(const ep_host *host, ep_plugin *table, ep_error *error);

#ifdef __cplusplus
}
#endif
#endif
