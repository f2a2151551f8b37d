// Manifests that are right, for tests to spoil, and files for them to name.
#pragma once

#include "plain/manifest.hpp"
#include "temporary_directory.hpp"

#include <nlohmann/json.hpp>

inline constexpr ep::AbiVersion core_abi{2, 3};

// A backend's, in the directory it will lie in.
inline nlohmann::json backend_manifest(const TemporaryDirectory &directory) {
    return {{"kind", "backend"},
            {"name", "worker-cp311"},
            {"mode", "worker"},
            {"abi", "2.3"},
            {"file", "worker-cp311.so"},
            {"python", "3.11.2"},
            {"abi_tag", "cp311"},
            {"free_threading", false},
            {"libpython", directory.write("libpython3.11.so", "").string()},
            {"executable", "/usr/bin/python3.11"}};
}

inline nlohmann::json plugin_manifest() {
    return {{"kind", "plugin"}, {"name", "channel"}, {"abi", "2.3"}, {"file", "channel.so"}};
}
