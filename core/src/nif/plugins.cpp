#include "plugins.hpp"

#include "core.hpp"
#include "host_table.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>

namespace ep {

namespace {

constexpr uint32_t most_arguments = 6;

// What of a table cannot be, in words; empty: nothing.
std::string wrong_with(const ep_plugin &table) {
    if (table.header.size < offsetof(ep_plugin, open) || (table.function_count > 0 && table.functions == nullptr)) {
        return "left functions out of its table; install a complete build of it";
    }
    for (uint32_t i = 0; i < table.function_count; ++i) {
        const ep_function &function = table.functions[i];
        if (function.name != nullptr && std::strlen(function.name) > 255) {
            return "has a function with a name of more than 255 characters; correct its table and build it anew";
        }
        if (function.name == nullptr || function.body == nullptr) {
            return "has a function without a name or without a body; correct its table and build it anew";
        }
        if (function.arity > most_arguments) {
            return std::string{"has the function "} + function.name + " of " + std::to_string(function.arity) +
                   " arguments, and " + std::to_string(most_arguments) +
                   " are the most; correct its table and build it anew";
        }
    }
    return {};
}

std::string said(const ep_error &error) {
    return *error.text != '\0' ? error.text : "it does not say why; install another build of it";
}

// The body of functions that Python has got hold of while their plugin is not wanted.
ep_status left_out(ep_call *) {
    return EP_NOT_LOADED;
}

// Threads of Python may be calling meanwhile: each call finds one body or the other.
void set_bodies(Plugin &plugin) {
    for (size_t i = 0; i < plugin.functions.size(); ++i) {
        ep_function_body body = plugin.wanted ? plugin.table.functions[i].body : left_out;
        __atomic_store_n(&plugin.functions[i].body, body, __ATOMIC_RELEASE);
    }
}

RuntimeError open_plugin(ErlNifEnv *env, const Manifest &manifest, ep_plugin &table) {
    void *library = dlopen(manifest.file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char *text = dlerror();
        return {"plugin_failed", manifest.file.string() +
                                     " cannot be opened: " + (text != nullptr ? text : "unknown error") +
                                     "; rebuild it, or remove its manifest " + manifest.path.string()};
    }
    auto entry = reinterpret_cast<ep_plugin_entry>(dlsym(library, EP_PLUGIN_ENTRY_NAME));
    if (entry == nullptr) {
        return {"plugin_failed", manifest.file.string() +
                                     " has no " EP_PLUGIN_ENTRY_NAME ": it is no plugin; correct the manifest " +
                                     manifest.path.string()};
    }
    table.header = {static_cast<uint16_t>(manifest.abi.major), static_cast<uint16_t>(manifest.abi.minor), sizeof table};
    ep_error error{};
    const ep_status status = entry(&host_table(), &table, &error);
    error.text[sizeof error.text - 1] = '\0';
    const AbiVersion answered{table.header.major, table.header.minor};
    if (status == EP_TOO_NEW ||
        (status == EP_OK && (answered.major != core_abi.major || answered.minor > core_abi.minor))) {
        return {"abi_mismatch", manifest.file.string() + " does not fit ABI " + to_string(core_abi) +
                                    ", which this core has (" + (*error.text ? error.text : to_string(answered)) +
                                    "); install the plugin that matches this erlang_python"};
    }
    if (status != EP_OK) {
        return {"plugin_failed", manifest.file.string() + " does not want to be loaded: " + said(error)};
    }
    if (std::string wrong = wrong_with(table); !wrong.empty()) {
        return {"plugin_failed", manifest.file.string() + " " + wrong};
    }
    const bool opens = table.header.size >= sizeof table && table.open != nullptr;
    if (opens && table.open(env, &host_table(), &error) != EP_OK) {
        error.text[sizeof error.text - 1] = '\0';
        return {"plugin_failed", manifest.file.string() + " could not be opened: " + said(error)};
    }
    return {};
}

} // namespace

PluginFunctions::PluginFunctions(ErlNifEnv *env, const std::vector<std::unique_ptr<Plugin>> &plugins) {
    size_t count = 0;
    for (const auto &plugin : plugins) {
        count += plugin->wanted ? plugin->table.function_count : 0;
    }
    size_t size = 16;
    while (size < 2 * count) {
        size *= 2;
    }
    entries_.resize(size);
    for (const auto &plugin : plugins) {
        for (uint32_t i = 0; plugin->wanted && i < plugin->table.function_count; ++i) {
            const ep_function &function = plugin->table.functions[i];
            ERL_NIF_TERM name = enif_make_atom(env, function.name);
            size_t at = hash(plugin->name, name, function.arity) & (size - 1);
            while (entries_[at].plugin != 0) {
                at = (at + 1) & (size - 1);
            }
            entries_[at] = {plugin->name, name, &function};
        }
    }
}

size_t PluginFunctions::hash(ERL_NIF_TERM plugin, ERL_NIF_TERM name, uint32_t arity) noexcept {
    return (plugin >> 6) * 31 + (name >> 6) * 7 + arity; // the low bits say that it is an atom
}

const ep_function *PluginFunctions::find(ERL_NIF_TERM plugin, ERL_NIF_TERM name, uint32_t arity) const noexcept {
    const size_t mask = entries_.size() - 1;
    for (size_t at = hash(plugin, name, arity) & mask; entries_[at].plugin != 0; at = (at + 1) & mask) {
        const Entry &entry = entries_[at];
        if (entry.name == name && entry.plugin == plugin && entry.function->arity == arity) {
            return entry.function;
        }
    }
    return nullptr;
}

Plugin &Plugins::open(ErlNifEnv *env, const Manifest &manifest) {
    for (auto &plugin : plugins_) {
        if (plugin->manifest.file == manifest.file && plugin->failure.code.empty()) {
            return *plugin;
        }
    }
    auto plugin = std::make_unique<Plugin>();
    plugin->manifest = manifest;
    plugin->name = enif_make_atom_len(env, manifest.name.data(), std::min<size_t>(manifest.name.size(), 255));
    plugin->failure = open_plugin(env, manifest, plugin->table);
    if (!plugin->failure.code.empty()) {
        plugin->table.function_count = 0;
    }
    plugin->functions.assign(plugin->table.functions, plugin->table.functions + plugin->table.function_count);
    plugins_.push_back(std::move(plugin));
    return *plugins_.back();
}

std::vector<Plugins::Failure> Plugins::load(ErlNifEnv *env, const std::vector<Manifest> &manifests,
                                            const std::optional<std::vector<std::string>> &wanted) {
    std::lock_guard lock{mutex_};
    tried_ = true;
    failures_.clear();
    std::erase_if(plugins_, [](const auto &plugin) { return !plugin->failure.code.empty(); }); // may be mended now
    bool changed = false;
    std::vector<const Plugin *> taken;
    for (const Manifest &manifest : manifests) {
        const bool is_wanted = !wanted || std::find(wanted->begin(), wanted->end(), manifest.name) != wanted->end();
        if (manifest.kind != Manifest::Kind::plugin || !is_wanted || !manifest.refusal.empty()) {
            continue;
        }
        const size_t before = plugins_.size();
        Plugin &plugin = open(env, manifest);
        changed = changed || plugins_.size() != before;
        taken.push_back(&plugin);
        if (!plugin.failure.code.empty()) {
            failures_.push_back({manifest.name, plugin.failure});
        }
    }
    for (const auto &plugin : plugins_) {
        const bool is_wanted =
            plugin->failure.code.empty() && std::find(taken.begin(), taken.end(), plugin.get()) != taken.end();
        changed = changed || plugin->wanted != is_wanted;
        plugin->wanted = is_wanted;
        set_bodies(*plugin);
    }
    if (changed || functions_.load() == nullptr) {
        all_.push_back(std::make_unique<PluginFunctions>(env, plugins_));
        functions_.store(all_.back().get(), std::memory_order_release);
    }
    for (size_t i = 0; wanted && i < wanted->size(); ++i) {
        const std::string &name = (*wanted)[i];
        auto named = [&](const Manifest &manifest) {
            return manifest.kind == Manifest::Kind::plugin && manifest.name == name;
        };
        auto found = std::find_if(manifests.begin(), manifests.end(), named);
        const bool usable = std::any_of(manifests.begin(), manifests.end(),
                                        [&](const Manifest &m) { return named(m) && m.refusal.empty(); });
        if (found == manifests.end()) {
            failures_.push_back({name,
                                 {"plugin_not_found", "there is no plugin " + name +
                                                          ": build it, or name its "
                                                          "directory in the environment variable ERLANG_PYTHON_PATH"}});
        } else if (!usable) {
            failures_.push_back({name, {"plugin_refused", found->path.string() + ": " + found->refusal}});
        }
    }
    return failures_;
}

const ep_function *Plugins::find(const char *plugin, const char *name, uint32_t arity) {
    std::lock_guard lock{mutex_};
    for (const auto &one : plugins_) {
        if (one->wanted && one->manifest.name == plugin) {
            for (const ep_function &function : one->functions) {
                if (function.arity == arity && std::strcmp(function.name, name) == 0) {
                    return &function;
                }
            }
        }
    }
    return nullptr;
}

bool Plugins::is_loaded(ERL_NIF_TERM plugin) {
    std::lock_guard lock{mutex_};
    return std::any_of(plugins_.begin(), plugins_.end(),
                       [=](const auto &one) { return one->wanted && one->name == plugin; });
}

std::string Plugins::problem(const char *plugin, const char *name, uint32_t arity) {
    std::lock_guard lock{mutex_};
    const std::string start = std::string{"the plugin "} + plugin;
    for (const auto &one : plugins_) {
        if (one->wanted && one->manifest.name == plugin) {
            return start + " (" + one->manifest.file.string() + ") has no function " + name + "/" +
                   std::to_string(arity) + ": install the one that matches this erlang_python";
        }
    }
    for (const Failure &failure : failures_) {
        if (failure.name == plugin) {
            return start + " is not loaded: " + failure.error.text;
        }
    }
    return start + (tried_
                        ? " is not loaded: build it, name its directory in ERLANG_PYTHON_PATH, or add it to what the "
                          "configuration lists under `plugins`; py:doctor() shows what was found"
                        : " is not loaded: the application erlang_python has not been started");
}

bool Plugins::status(const Manifest &manifest, std::string &reason) {
    std::lock_guard lock{mutex_};
    for (const auto &plugin : plugins_) {
        if (plugin->manifest.path == manifest.path) {
            reason = plugin->failure.text;
            if (reason.empty() && !plugin->wanted) {
                reason = "the configuration leaves it out";
            }
            return plugin->wanted;
        }
    }
    if (tried_ && manifest.refusal.empty()) {
        reason = "the configuration leaves it out";
    }
    return false;
}

void *plugin_resource_new(const ep_resource_type *type) {
    void *resource =
        enif_alloc_resource(core().types.plugin, std::max<size_t>(type->resource_size, sizeof(ep_resource)));
    std::memset(resource, 0, type->resource_size);
    static_cast<ep_resource *>(resource)->type = type;
    Counters::add(core().counters.plugin_resources, 1);
    return resource;
}

ep_status plugin_resource_of(ErlNifEnv *env, ERL_NIF_TERM term, const ep_resource_type *type, void **resource) {
    void *found = nullptr;
    if (!enif_get_resource(env, term, core().types.plugin, &found) || static_cast<ep_resource *>(found)->type != type) {
        return EP_WRONG_KIND;
    }
    *resource = found;
    return EP_OK;
}

const char *plugin_python_class(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *found = nullptr;
    return enif_get_resource(env, term, core().types.plugin, &found)
               ? static_cast<ep_resource *>(found)->type->python_class
               : nullptr;
}

void destroy_plugin_resource(ErlNifEnv *env, void *resource) {
    const ep_resource_type *type = static_cast<ep_resource *>(resource)->type;
    if (type->destroy != nullptr) {
        type->destroy(env, resource);
    }
    Counters::add(core().counters.plugin_resources, -1);
}

void plugin_resource_down(ErlNifEnv *env, void *resource, ErlNifPid *pid, ErlNifMonitor *monitor) {
    const ep_resource_type *type = static_cast<ep_resource *>(resource)->type;
    if (type->down != nullptr) {
        type->down(env, resource, pid, monitor);
    }
}

void stop_plugin_resource(ErlNifEnv *env, void *resource, ErlNifEvent event, int is_direct_call) {
    const ep_resource_type *type = static_cast<ep_resource *>(resource)->type;
    if (type->stop != nullptr) {
        type->stop(env, resource, event, is_direct_call);
    }
}

} // namespace ep
