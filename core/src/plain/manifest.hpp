// The JSON file beside a backend or a plugin, and what of it can be judged without opening anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ep {

struct AbiVersion {
    unsigned major = 0;
    unsigned minor = 0;
};

std::string to_string(const AbiVersion &version);

struct Manifest {
    enum class Kind : uint8_t { backend, plugin };

    std::filesystem::path path; // of the manifest itself
    Kind kind = Kind::backend;
    std::string name;
    AbiVersion abi;
    std::filesystem::path file; // absolute

    // Of a backend only.
    std::string mode;   // worker, owngil or freethreaded
    std::string python; // the version it was built with, "3.11.2"
    std::string abi_tag;
    bool free_threading = false;
    std::filesystem::path libpython;
    std::filesystem::path executable;

    std::string refusal; // why it cannot be used; empty when it can, as far as its manifest says
};

// Reads one manifest. Never throws on bad content: what is wrong becomes the refusal.
Manifest read_manifest(const std::filesystem::path &path, const AbiVersion &core);

// Reads all manifests of the directories, in their order, and by name inside one. Directories that do not exist are
// no error. Of two backends of one name and Python the first found wins; the other is refused.
std::vector<Manifest> find_manifests(const std::vector<std::filesystem::path> &directories, const AbiVersion &core);

// "3.14.7" or "3.14" -> {3, 14}; {0, 0} when it is no version.
std::pair<int, int> python_version(const std::string &text);

} // namespace ep
