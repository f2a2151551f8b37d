// Feature plugins: which are loaded, and where their functions are.
#pragma once

#include "../plain/manifest.hpp"
#include "loader.hpp"

#include <erlang_python/plugin.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace ep {

// What one plugin came to.
struct Plugin {
    Manifest manifest;
    ep_plugin table{};
    ERL_NIF_TERM name = 0; // an atom
    RuntimeError failure;  // empty: it is loaded, for the life of the VM
    bool wanted = false;   // by the application that runs

    // Its functions as backends get them, who keep them for the life of the VM: so the bodies here are others while it
    // is not wanted. Made once.
    std::vector<ep_function> functions;
};

// Functions by plugin, name and arity. Made once for a set of plugins and never changed: calls look in it without a lock.
class PluginFunctions {
public:
    explicit PluginFunctions(ErlNifEnv *env, const std::vector<std::unique_ptr<Plugin>> &plugins);
    const ep_function *find(ERL_NIF_TERM plugin, ERL_NIF_TERM name, uint32_t arity) const noexcept;

private:
    struct Entry {
        ERL_NIF_TERM plugin = 0; // 0: free
        ERL_NIF_TERM name = 0;
        const ep_function *function = nullptr;
    };
    static size_t hash(ERL_NIF_TERM plugin, ERL_NIF_TERM name, uint32_t arity) noexcept;
    std::vector<Entry> entries_; // a power of two, at most half full
};

class Plugins {
public:
    // Takes those of the manifests that are wanted (nullopt: all), opening what has not been opened before; the rest is
    // not to be had any more. What became of one that is wanted and cannot be had, with its name; empty: all is well.
    // Blocks. Any thread.
    struct Failure {
        std::string name;
        RuntimeError error;
    };
    std::vector<Failure> load(ErlNifEnv *env, const std::vector<Manifest> &manifests,
                              const std::optional<std::vector<std::string>> &wanted);

    // nullptr: there is none. Any thread.
    const ep_function *find(ERL_NIF_TERM plugin, ERL_NIF_TERM name, uint32_t arity) const noexcept {
        const PluginFunctions *functions = functions_.load(std::memory_order_acquire);
        return functions != nullptr ? functions->find(plugin, name, arity) : nullptr;
    }
    const ep_function *find(const char *plugin, const char *name, uint32_t arity);
    // Whether a plugin of that name can be had. Any thread.
    bool is_loaded(ERL_NIF_TERM plugin);
    // Why there is no such function. Any thread.
    std::string problem(const char *plugin, const char *name, uint32_t arity);
    // What became of the plugin of a manifest: its failure, and whether it is loaded. Any thread.
    bool status(const Manifest &manifest, std::string &reason);

private:
    Plugin &open(ErlNifEnv *env, const Manifest &manifest); // with mutex_

    std::mutex mutex_;
    std::vector<std::unique_ptr<Plugin>> plugins_;      // guarded by mutex_; never removed
    std::vector<Failure> failures_;                     // guarded by mutex_: of the last load()
    bool tried_ = false;                                // guarded by mutex_
    std::vector<std::unique_ptr<PluginFunctions>> all_; // guarded by mutex_; calls may still look in old ones
    std::atomic<const PluginFunctions *> functions_{nullptr};
};

// Resources of plugins: of one type to the VM. Those of ep_host, and what the VM calls.
void *plugin_resource_new(const ep_resource_type *type);
ep_status plugin_resource_of(ErlNifEnv *env, ERL_NIF_TERM term, const ep_resource_type *type, void **resource);
const char *plugin_python_class(ErlNifEnv *env, ERL_NIF_TERM term);
void destroy_plugin_resource(ErlNifEnv *env, void *resource);
void plugin_resource_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor);
void stop_plugin_resource(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct_call);

} // namespace ep
