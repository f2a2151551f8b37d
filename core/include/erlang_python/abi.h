/*
 * The rules every table of erlang_python's C ABI follows, and the types they share.
 *
 * Two kinds of shared object are loaded by the core at run time: execution backends (backend.h) and feature plugins
 * (plugin.h). Both speak C11 only: no C++ type, no exception and no PyObject* crosses.
 *
 * Versions. A table starts with ep_header. Within one major version a table only grows at its end and no field ever
 * changes its meaning; a changed meaning is a new field. Whoever asks writes the version and the size it was compiled
 * with into the header; whoever provides refuses a caller that is newer than itself and fills no byte beyond the
 * caller's size.
 *
 * Threads. Every function pointer names the threads it may be called on:
 *   [scheduler]       a scheduler thread of the VM, inside a NIF call; must return within a millisecond
 *   [dirty]           a dirty scheduler thread of the VM, inside a NIF call; may block for a while
 *   [context-thread]  the one thread that serves a context
 *   [python-main]     the thread that initialised Python and lives as long as the VM
 *   [attached]        in addition: the calling thread is attached to the context's interpreter
 *   [any-thread]      no restriction
 *
 * Strings are UTF-8 and not NUL-terminated unless a comment says so. Nobody frees memory of the other side.
 */
#ifndef ERLANG_PYTHON_ABI_H
#define ERLANG_PYTHON_ABI_H

#include <stddef.h>
#include <stdint.h>

#define EP_ABI_MAJOR 1
#define EP_ABI_MINOR 0

#define EP_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* The first member of every table. `size` is the size of the whole table in bytes. */
typedef struct ep_header {
    uint16_t major;
    uint16_t minor;
    uint32_t size;
} ep_header;

/* Whether a table is of this major version, and of this minor version and size or newer. */
static inline int ep_header_fits(const ep_header *table, unsigned major, unsigned minor, size_t size) {
    return table->major == major && table->minor >= minor && table->size >= size;
}

/* What a call across the ABI came to. Values are never reused. */
typedef int32_t ep_status;
#define EP_OK 0
#define EP_FAILED 1      /* see the ep_error that was passed */
#define EP_TOO_NEW 2     /* the caller asks for a newer table than the provider has */
#define EP_CLOSED 3      /* the context, or the application, is stopping */
#define EP_INTERRUPTED 4 /* the waiting request was interrupted or timed out */
#define EP_TOO_DEEP 5    /* nested deeper than the bound */
#define EP_NO_ANSWER 6   /* the process that owed an answer is gone */
#define EP_WRONG_KIND 7  /* a term or a handle is not what the function takes */
#define EP_NOT_RUNNING 8 /* the application is not running, or its host process is just being restarted */
#define EP_TOO_LARGE 9   /* more bytes than the function takes */
#define EP_PENDING 10    /* not yet: see ep_waker. Of waker_wait: the time is over */
#define EP_NOT_LOADED 11 /* no plugin of that name is loaded */
#define EP_TOO_LONG 12   /* nothing was done, since it takes too long here: to be called again on a dirty scheduler */

/* Why a call failed, in a sentence that says what was expected, what came and how to mend it. The caller owns it;
   `text` is always NUL-terminated. */
typedef struct ep_error {
    char text[1024];
} ep_error;

/* Borrowed bytes. */
typedef struct ep_slice {
    const unsigned char *data;
    size_t size;
} ep_slice;

/* Severities of ep_host.log, named as in Erlang's logger. */
typedef int32_t ep_level;
#define EP_LEVEL_ERROR 0
#define EP_LEVEL_WARNING 1
#define EP_LEVEL_INFO 2
#define EP_LEVEL_DEBUG 3

#ifdef __cplusplus
}
#endif
#endif
