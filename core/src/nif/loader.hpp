// Opens what manifests name: a libpython, and backends built for it.
#pragma once

#include "../plain/manifest.hpp"

#include <erlang_python/backend.h>

#include <string>

namespace ep {

inline constexpr AbiVersion core_abi{EP_ABI_MAJOR, EP_ABI_MINOR};

// Why Python or a backend cannot be had; no code: it can.
struct RuntimeError {
    std::string code; // an atom for programs
    std::string text; // a sentence for people
};

// " (free-threaded)" or nothing, for messages.
std::string flavour(bool free_threading);

// Both block while files are read, and leave what they opened open for the life of the VM. Any thread, one at a time.
RuntimeError open_python(const Manifest &manifest);
RuntimeError open_backend(const Manifest &manifest, ep_backend &table);

} // namespace ep
