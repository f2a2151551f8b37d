/*
 * Flat values: what crosses between Erlang and Python, already taken apart, in both directions.
 *
 * To Python: the process that calls walks its terms once, on its own scheduler, and records what it meets as the bytes
 * described here (convert/decode.hpp, convert/flat.hpp). The context thread replays them into Python objects without
 * touching a term (convert/replay.hpp). To Erlang: the context thread records Python objects (convert/encode.hpp), and
 * terms are made of that (convert/terms.hpp) by the process that waits for them, on its own heap, when there are many.
 * Either way the thread that holds the GIL holds it as short as possible. What cannot be bytes (large binaries,
 * references, funs) is a term in `env`, named by its index in `terms`.
 *
 * Rationale: enif_make_copy of the arguments costs a heap fragment even for one small integer, and makes the thread that
 * holds the GIL pay for the walk. Measured in docs/decisions/flat-values.md.
 *
 * A value is a tag byte and what the tag says. Integers in it are in the machine's byte order and not aligned.
 */
#ifndef ERLANG_PYTHON_FLAT_H
#define ERLANG_PYTHON_FLAT_H

#include "abi.h"
#include <erl_nif.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ep_tag {
    EP_TAG_NONE = 0, /* none, nil, undefined */
    EP_TAG_FALSE = 1,
    EP_TAG_TRUE = 2,
    EP_TAG_INT = 3,         /* int64 */
    EP_TAG_BIGINT = 4,      /* uint8 negative, uint32 size, magnitude in little-endian bytes */
    EP_TAG_FLOAT = 5,       /* double */
    EP_TAG_TEXT = 6,        /* uint32 size, bytes: str, or bytes when not UTF-8 */
    EP_TAG_BYTES = 7,       /* uint32 size, bytes: bytes */
    EP_TAG_ATOM = 8,        /* ERL_NIF_TERM, an atom: str */
    EP_TAG_LIST = 9,        /* uint32 n, n values */
    EP_TAG_TUPLE = 10,      /* uint32 n, n values */
    EP_TAG_MAP = 11,        /* uint32 n, n pairs of values */
    EP_TAG_INTS = 12,       /* uint32 n, n int64: a list of integers */
    EP_TAG_FLOATS = 13,     /* uint32 n, n doubles: a list of floats */
    EP_TAG_PID = 14,        /* ERL_NIF_TERM, a pid of this node */
    EP_TAG_BIG_TEXT = 15,   /* uint32 index of a binary: as TEXT */
    EP_TAG_BIG_BYTES = 16,  /* uint32 index of a binary: as BYTES */
    EP_TAG_VIEW = 17,       /* uint32 index of a binary: a read-only memoryview over it, without a copy */
    EP_TAG_OBJECT = 18,     /* uint32 index of an object handle: the Python object it stands for */
    EP_TAG_REF = 19,        /* uint32 index of a reference: erlang.Ref */
    EP_TAG_REMOTE_PID = 20, /* uint32 index of a pid of another node: erlang.Pid */
    EP_TAG_CHARLIST = 22,   /* uint32 n, n uint32: a list of code points, an Erlang string. To Erlang only */
    EP_TAG_TERM = 21        /* uint32 index of any other term: erlang.Term, opaque, comes back as it was */
} ep_tag;

/* Any number of flat values in a row. Owned by whoever hands it out; valid as long as that says. */
typedef struct ep_flat {
    ep_slice bytes;
    ErlNifEnv *env; /* where `terms` live */
    const ERL_NIF_TERM *terms;
    size_t term_count;
} ep_flat;

#ifdef __cplusplus
}
#endif
#endif
