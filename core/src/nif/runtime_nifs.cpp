// NIFs about the VM-wide runtime, registered functions and the semaphore.
#include "arguments.hpp"
#include "context.hpp"
#include "nifs.hpp"
#include "slot.hpp"

#include <algorithm>

namespace ep {

namespace {

bool find(ErlNifEnv *env, ERL_NIF_TERM map, const char *key, ERL_NIF_TERM &value) {
    return enif_get_map_value(env, map, enif_make_atom(env, key), &value) != 0;
}

// An atom or a binary.
std::string get_text(ErlNifEnv *env, ERL_NIF_TERM term) {
    return enif_is_atom(env, term) ? atom_text(env, term) : get_binary(env, term);
}

template <class Text> void get_list(ErlNifEnv *env, ERL_NIF_TERM list, std::vector<Text> &texts) {
    ERL_NIF_TERM head;
    while (enif_get_list_cell(env, list, &head, &list)) {
        texts.emplace_back(get_binary(env, head));
    }
    if (!enif_is_empty_list(env, list)) {
        throw BadArgument{};
    }
}

ERL_NIF_TERM describe(ErlNifEnv *env, const Manifest &manifest, const char *status, const std::string &reason) {
    ERL_NIF_TERM map = enif_make_new_map(env);
    auto put = [&](const char *key, ERL_NIF_TERM value) {
        enif_make_map_put(env, map, enif_make_atom(env, key), value, &map);
    };
    const bool backend = manifest.kind == Manifest::Kind::backend;
    put("kind", enif_make_atom(env, backend ? "backend" : "plugin"));
    put("name", make_binary(env, manifest.name));
    put("manifest", make_binary(env, manifest.path.string()));
    put("file", make_binary(env, manifest.file.string()));
    put("abi", make_binary(env, to_string(manifest.abi)));
    put("status", enif_make_atom(env, status));
    if (!reason.empty()) {
        put("reason", make_binary(env, reason));
    }
    if (backend) {
        const std::string &mode = manifest.mode;
        put("mode", mode.empty() ? core().atoms.undefined : enif_make_atom(env, mode.c_str()));
        put("python", make_binary(env, manifest.python));
        put("abi_tag", make_binary(env, manifest.abi_tag));
        put("free_threading", manifest.free_threading ? core().atoms.true_ : core().atoms.false_);
        put("libpython", make_binary(env, manifest.libpython.string()));
        put("executable", make_binary(env, manifest.executable.string()));
    }
    return map;
}

// A mode the manifest reader let through is one of three atoms; a refused manifest may say anything.
bool known_mode(const std::string &mode) {
    return mode == "worker" || mode == "owngil" || mode == "freethreaded";
}

} // namespace

ERL_NIF_TERM nif_configure(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    if (!enif_is_map(env, argv[0])) {
        throw BadArgument{};
    }
    RuntimeOptions options;
    ERL_NIF_TERM value;
    if (find(env, argv[0], "backend", value)) {
        options.wish.backend = get_text(env, value);
    }
    if (find(env, argv[0], "python", value)) {
        options.wish.python = get_text(env, value);
    }
    if (find(env, argv[0], "search", value)) {
        get_list(env, value, options.search);
    }
    if (find(env, argv[0], "paths", value)) {
        get_list(env, value, options.paths);
    }
    if (find(env, argv[0], "big_integers", value)) {
        options.big_integers = value == enif_make_atom(env, "integer");
    }
    if (find(env, argv[0], "memory_limits", value)) {
        options.memory_limits = value == core().atoms.true_;
    }
    if (find(env, argv[0], "prefers_owngil", value)) {
        options.prefers_owngil = value == core().atoms.true_;
    }
    if (find(env, argv[0], "max_atoms", value)) {
        unsigned max = 0;
        if (!enif_get_uint(env, value, &max)) {
            throw BadArgument{};
        }
        core().max_atoms.store(max);
    }
    if (find(env, argv[0], "callback_patience", value)) {
        unsigned patience = 0;
        if (!enif_get_uint(env, value, &patience)) {
            throw BadArgument{};
        }
        core().patience.store(std::chrono::milliseconds{patience});
    }
    core().runtime.configure(std::move(options));
    return core().atoms.ok;
}

ERL_NIF_TERM nif_start_runtime(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    RuntimeError error = core().runtime.start();
    if (error.code.empty()) {
        return core().atoms.ok;
    }
    return make_error(env,
                      enif_make_tuple2(env, enif_make_atom(env, error.code.c_str()), make_binary(env, error.text)));
}

ERL_NIF_TERM nif_runtime(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    Runtime &runtime = core().runtime;
    return runtime.started() ? describe(env, runtime.manifest(), "chosen", {}) : enif_make_new_map(env);
}

ERL_NIF_TERM nif_backends(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    Runtime::Listing listing = core().runtime.list();
    std::vector<ERL_NIF_TERM> terms;
    for (size_t i = 0; i < listing.manifests.size(); ++i) {
        Manifest &manifest = listing.manifests[i];
        if (!known_mode(manifest.mode)) {
            manifest.mode.clear();
        }
        const bool chosen = listing.selection.chosen == i;
        std::string reason = chosen ? std::string{} : listing.selection.reasons[i];
        if (manifest.kind == Manifest::Kind::plugin && reason.empty()) {
            listing.loaded[i] = core().plugins.status(manifest, reason);
        }
        const char *status = chosen              ? "chosen"
                             : !reason.empty()   ? "refused"
                             : listing.loaded[i] ? "loaded"
                                                 : "available";
        terms.push_back(describe(env, manifest, status, reason));
    }
    return enif_make_list_from_array(env, terms.data(), static_cast<unsigned>(terms.size()));
}

ERL_NIF_TERM nif_set_host(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifPid pid;
    if (!enif_get_local_pid(env, argv[0], &pid)) {
        throw BadArgument{};
    }
    core().host_process.set(pid);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_host_stopped(ErlNifEnv *, int, const ERL_NIF_TERM[]) {
    core().host_process.clear();
    return core().atoms.ok;
}

ERL_NIF_TERM nif_runner_ready(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    ErlNifPid self;
    enif_self(env, &self);
    return core().host_process.is_set() && core().runners.ready(self) ? core().atoms.true_ : core().atoms.false_;
}

ERL_NIF_TERM nif_runner_leaves(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    ErlNifPid self;
    enif_self(env, &self);
    return core().runners.leaves(self) ? core().atoms.true_ : core().atoms.false_;
}

// What the Python that runs, or would, is capable of.
ERL_NIF_TERM nif_execution_mode(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    Runtime &runtime = core().runtime;
    Manifest manifest;
    if (runtime.started()) {
        manifest = runtime.manifest();
    } else if (Runtime::Listing listing = runtime.list(); listing.selection.chosen) {
        manifest = listing.manifests[*listing.selection.chosen];
    }
    const bool subinterpreters = python_version(manifest.python) >= std::pair{3, 12};
    return enif_make_atom(env, manifest.free_threading ? "free_threaded"
                               : subinterpreters       ? "subinterp"
                                                       : "multi_executor");
}

ERL_NIF_TERM nif_owngil_problem(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    const std::string problem = core().runtime.owngil_problem();
    return problem.empty() ? core().atoms.ok : make_error(env, enif_make_atom(env, problem.c_str()));
}

ERL_NIF_TERM nif_function_registered(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    core().functions.add(get_binary(env, argv[0]));
    return core().atoms.ok;
}

ERL_NIF_TERM nif_function_unregistered(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    core().functions.remove(get_binary(env, argv[0]));
    return core().atoms.ok;
}

ERL_NIF_TERM nif_functions_clear(ErlNifEnv *, int, const ERL_NIF_TERM[]) {
    core().functions.clear();
    return core().atoms.ok;
}

ERL_NIF_TERM nif_semaphore_acquire(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifPid pid;
    if (!enif_get_local_pid(env, argv[0], &pid)) {
        throw BadArgument{};
    }
    return acquire_slot(env, pid);
}

ERL_NIF_TERM nif_semaphore_cancel(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return cancel_slot(get_resource<Slot>(env, argv[0], core().types.slot));
}

ERL_NIF_TERM nif_semaphore_release(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    release_held_slot(env, get_resource<Slot>(env, argv[0], core().types.slot));
    return core().atoms.ok;
}

ERL_NIF_TERM nif_semaphore_current(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    return enif_make_uint(env, core().semaphore.current());
}

ERL_NIF_TERM nif_semaphore_max(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    return enif_make_uint(env, core().semaphore.max());
}

ERL_NIF_TERM nif_semaphore_set_max(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    unsigned max = 0;
    if (!enif_get_uint(env, argv[0], &max) || max == 0) {
        throw BadArgument{};
    }
    core().semaphore.set_max(max, env);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_counters(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    const Counters &counters = core().counters;
    const std::pair<const char *, int64_t> all[] = {
        {"contexts", counters.contexts.load()},
        {"threads", counters.threads.load()},
        {"requests", core().requests.live()},
        {"callbacks", counters.callbacks.load()},
        {"envs", counters.spaces.load()},
        {"objects", counters.objects.load()},
        {"lent", counters.lent.load()},
        {"messages", core().replies.live()},
        {"slots", counters.slots.load()},
        {"stores", counters.stores.load()},
        {"loop_inboxes", counters.loop_inboxes.load()},
        {"tasks", counters.tasks.load()},
        {"wakers", counters.wakers.load()},
        {"plugin_resources", counters.plugin_resources.load()},
        {"event_loops", counters.event_loops.load()},
        {"watched_files", counters.watched_files.load()},
        {"atoms_left", std::max<int64_t>(0, core().max_atoms.load() - core().atoms_made.load())},
    };
    ERL_NIF_TERM map = enif_make_new_map(env);
    for (const auto &[name, value] : all) {
        enif_make_map_put(env, map, enif_make_atom(env, name), enif_make_int64(env, value), &map);
    }
    return map;
}

} // namespace ep
