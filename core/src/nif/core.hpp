// The one object of the native core. Made when the library is loaded, never destroyed: threads of ours may still run
// when the VM calls exit().
#pragma once

#include "../plain/pool.hpp"
#include "../plain/semaphore.hpp"
#include "context_table.hpp"
#include "feed.hpp"
#include "function_names.hpp"
#include "host_process.hpp"
#include "plugins.hpp"
#include "request.hpp"
#include "runners.hpp"
#include "runtime.hpp"
#include "store.hpp"

#include <erlang_python/convert/decode.hpp>

#include <atomic>
#include <chrono>
#include <erl_nif.h>

namespace ep {

struct Atoms {
    explicit Atoms(ErlNifEnv *env);

    ERL_NIF_TERM ok, error, ready, undefined, true_, false_;
    ERL_NIF_TERM context_stopped, env_wrong_interpreter, interrupted, timeout, overloaded, not_running;
    ERL_NIF_TERM cancelled, callback, replied, granted, wait, flat, final, ancestry;
    ERL_NIF_TERM py_native, forward, log, infinity, state, async_result, open, ending, over, not_owner;
    ERL_NIF_TERM py_wake, pending;
    ERL_NIF_TERM py_event, py_event_loop, py_event_loop_work, no_worker, closed, read, write, timer;
};

struct ResourceTypes {
    ErlNifResourceType *context = nullptr;
    ErlNifResourceType *space = nullptr;
    ErlNifResourceType *object = nullptr;
    ErlNifResourceType *lent = nullptr;
    ErlNifResourceType *callback = nullptr;
    ErlNifResourceType *slot = nullptr;
    ErlNifResourceType *async = nullptr;
    ErlNifResourceType *flat = nullptr;
    ErlNifResourceType *store = nullptr;
    ErlNifResourceType *loop_inbox = nullptr;
    ErlNifResourceType *task = nullptr;
    ErlNifResourceType *event_loop = nullptr;
    ErlNifResourceType *loop_handle = nullptr;
    ErlNifResourceType *loop_file = nullptr;
    ErlNifResourceType *loop_waiter = nullptr;
    ErlNifResourceType *loop_timer = nullptr;
    ErlNifResourceType *waker = nullptr;
    ErlNifResourceType *plugin = nullptr;
};

// Statistics: they order nothing, so all are relaxed.
struct Counters {
    std::atomic<int64_t> contexts{0}, threads{0}, callbacks{0}, spaces{0}, objects{0}, lent{0}, slots{0}, stores{0},
        loop_inboxes{0}, tasks{0}, wakers{0}, plugin_resources{0};
    std::atomic<int64_t> event_loops{0}, watched_files{0};

    static void add(std::atomic<int64_t> &counter, int64_t n) noexcept {
        counter.fetch_add(n, std::memory_order_relaxed);
    }
};

class Core {
public:
    Core(ErlNifEnv *env, const std::string &priv_directory);

    const Atoms atoms;
    const ConversionAtoms conversion;
    ResourceTypes types; // set while loading
    Pool<Request> requests;
    Pool<Reply> replies;
    Semaphore semaphore;
    ContextTable contexts;
    FunctionNames functions;
    HostProcess host_process;
    Runners runners;
    Runtime runtime;
    Plugins plugins;
    Store state; // py_state's
    static constexpr uint32_t feed_count = 2;
    Feed feeds[feed_count]; // by ep_feed
    Counters counters;
    std::atomic<int64_t> max_atoms{10'000}; // how many new atoms Python may make in this VM
    std::atomic<int64_t> atoms_made{0};
    // How long an erlang.call waits for its answer before a request it does not depend on is served meanwhile.
    std::atomic<std::chrono::milliseconds> patience{std::chrono::milliseconds{10}};
    std::atomic<bool> crowded{false}; // there were many requests, and their memory has not been given back yet
    std::atomic<uint64_t> next_unique{1};
};

Core &core() noexcept;
// Once, in the load callback.
void make_core(ErlNifEnv *env, const std::string &priv_directory);

// Terms that several files build.
ERL_NIF_TERM make_error(ErlNifEnv *env, ERL_NIF_TERM reason);
ERL_NIF_TERM make_binary(ErlNifEnv *env, std::string_view text);
// {error, {Exception, "message"}}, the shape Python's own exceptions have.
ERL_NIF_TERM make_exception(ErlNifEnv *env, const char *exception, std::string_view message);
ERL_NIF_TERM conversion_error(ErlNifEnv *env, Decoded result);

} // namespace ep
