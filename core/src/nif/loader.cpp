#include "loader.hpp"

#include "host_table.hpp"

#include <cstring>
#include <dlfcn.h>

namespace ep {

namespace {

std::string loader_error() {
    const char *text = dlerror();
    return text != nullptr ? text : "unknown error of the dynamic loader";
}

// "3.13.1 experimental free-threading build (main, …) [GCC …]" -> "3.13.1"
std::string first_word(const char *text) {
    return std::string{text, std::strcspn(text, " +")};
}

} // namespace

std::string flavour(bool free_threading) {
    return free_threading ? " (free-threaded)" : "";
}

// Opens libpython with its symbols visible to extension modules, which do not name it themselves, and looks at what it
// says of itself before anything that was compiled against a Python gets near it.
RuntimeError open_python(const Manifest &manifest) {
    if (dlsym(RTLD_DEFAULT, "Py_IsInitialized") != nullptr) {
        return {"python_already_loaded", "another Python is loaded in this VM already, by some other library; a VM can "
                                         "have one. " +
                                             manifest.name + " wants " + manifest.libpython.string() +
                                             "; remove the other from this VM"};
    }
    void *library = dlopen(manifest.libpython.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        return {"libpython_failed", manifest.name + " needs " + manifest.libpython.string() +
                                        ", which cannot be opened: " + loader_error() +
                                        "; install that Python, or rebuild the backend for the one you have"};
    }
    auto get_version = reinterpret_cast<const char *(*)()>(dlsym(library, "Py_GetVersion"));
    if (get_version == nullptr) {
        return {"libpython_failed", manifest.libpython.string() +
                                        " has no Py_GetVersion: it is no Python; correct the manifest " +
                                        manifest.path.string()};
    }
    std::string version = first_word(get_version());
    bool free_threading = std::strstr(get_version(), "free-threading") != nullptr;
    if (python_version(version) != python_version(manifest.python) || free_threading != manifest.free_threading) {
        return {"python_mismatch", manifest.name + " was built for Python " + manifest.python +
                                       flavour(manifest.free_threading) + ", and " + manifest.libpython.string() +
                                       " is Python " + version + flavour(free_threading) +
                                       "; rebuild the backend, or correct its manifest " + manifest.path.string()};
    }
    return {};
}

RuntimeError open_backend(const Manifest &manifest, ep_backend &table) {
    void *library = dlopen(manifest.file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        return {"backend_failed", manifest.file.string() + " cannot be opened: " + loader_error() +
                                      "; rebuild it for " + manifest.libpython.string()};
    }
    auto entry = reinterpret_cast<ep_backend_entry>(dlsym(library, EP_BACKEND_ENTRY_NAME));
    if (entry == nullptr) {
        return {"backend_failed", manifest.file.string() +
                                      " has no " EP_BACKEND_ENTRY_NAME ": it is no backend; correct the manifest " +
                                      manifest.path.string()};
    }
    table.header = {static_cast<uint16_t>(manifest.abi.major), static_cast<uint16_t>(manifest.abi.minor), sizeof table};
    ep_error error{};
    ep_status status = entry(&host_table(), &table, &error);
    AbiVersion answered{table.header.major, table.header.minor};
    const bool fits = answered.major == core_abi.major && answered.minor <= core_abi.minor;
    const bool silent = answered.major == manifest.abi.major && answered.minor == manifest.abi.minor;
    if (status == EP_TOO_NEW && silent) { // it did not say what it has
        return {"abi_mismatch", manifest.file.string() + " refuses ABI " + to_string(core_abi) +
                                    ", which this core has" + (*error.text ? ": " : "") + error.text +
                                    "; install the backend that matches this erlang_python"};
    }
    if (status == EP_TOO_NEW || (status == EP_OK && !fits)) {
        return {"abi_mismatch", manifest.file.string() + " has ABI " + to_string(answered) + " and this core has ABI " +
                                    to_string(core_abi) + "; install the backend that matches this erlang_python"};
    }
    if (status != EP_OK) {
        return {"backend_failed", manifest.file.string() + ": " + error.text};
    }
    if (table.header.size < sizeof table || !table.start || !table.open || !table.close || !table.attach ||
        !table.detach || !table.serve || !table.release_slot || !table.interrupt || !table.take_back) {
        return {"backend_failed", manifest.file.string() + " left functions of ABI " + to_string(answered) +
                                      " out, all of which this core (ABI " + to_string(core_abi) +
                                      ") needs; install a complete build of it"};
    }
    return {};
}

} // namespace ep
