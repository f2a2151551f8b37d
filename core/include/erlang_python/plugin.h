/*
 * A feature plugin: functions and resource types that Erlang and Python share, without any knowledge of Python.
 * One binary serves every Python and every backend.
 */
#ifndef ERLANG_PYTHON_PLUGIN_H
#define ERLANG_PYTHON_PLUGIN_H

#include "abi.h"
#include "host.h"
#include <erl_nif.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EP_PLUGIN_DIRTY_CPU 1u
#define EP_PLUGIN_DIRTY_IO 2u

/* A function of a plugin. Terms in, a term out, in `env`; a returned exception is made with enif_raise_exception.
   Called from Erlang: [scheduler], or [dirty] when flagged. Called from Python: [any-thread]. */
typedef struct ep_plugin_function {
    const char *name; /* NUL-terminated */
    uint32_t arity;
    uint32_t flags;
    ERL_NIF_TERM (*function)(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
} ep_plugin_function;

typedef struct ep_plugin {
    ep_header header;
    uint32_t function_count;
    uint32_t reserved;
    const ep_plugin_function *functions; /* lives as long as the VM */

    /* Opens the plugin's resource types; called once, inside the load or upgrade callback of the core's NIF library,
       where enif_open_resource_type may be called. [scheduler] */
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
