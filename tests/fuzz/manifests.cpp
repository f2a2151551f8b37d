// Whatever is in a manifest, it is read or refused in words, and what is not refused can be used. An @ stands for the
// directory that it lies in, where there are plugin.so and libpython.so.
#include "plain/manifest.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace fs = std::filesystem;

namespace {

void require(bool holds, const char *what) {
    if (!holds) {
        std::fprintf(stderr, "it does not hold that %s\n", what);
        std::abort();
    }
}

const fs::path &directory() {
    static const fs::path *made = [] {
        std::string name = (fs::temp_directory_path() / "fuzz_manifests.XXXXXX").string();
        require(mkdtemp(name.data()) != nullptr, "there is a temporary directory");
        auto *path = new fs::path{name};
        std::ofstream{*path / "plugin.so"};
        std::ofstream{*path / "libpython.so"};
        std::atexit([] {
            std::error_code ignored;
            fs::remove_all(directory(), ignored);
        });
        return path;
    }();
    return *made;
}

std::string with_directory(const uint8_t *data, size_t size) {
    std::string text;
    for (size_t i = 0; i < size; ++i) {
        if (data[i] == '@') {
            text += directory().string();
        } else {
            text.push_back(static_cast<char>(data[i]));
        }
    }
    return text;
}

void check(const ep::Manifest &manifest, const ep::AbiVersion &core) {
    require(!manifest.name.empty() || manifest.refusal.empty(), "what is refused has a name");
    require(manifest.refusal.size() < 6000, "a refusal is short");
    if (!manifest.refusal.empty()) {
        return;
    }
    require(manifest.abi.major == core.major && manifest.abi.minor <= core.minor, "the ABI fits");
    require(fs::is_regular_file(manifest.file) && manifest.file.is_absolute(), "its file is there");
    if (manifest.kind == ep::Manifest::Kind::backend) {
        require(ep::python_version(manifest.python) >= std::pair{3, 11}, "its Python is not too old");
        require(fs::is_regular_file(manifest.libpython) && manifest.libpython.is_absolute(), "its libpython is there");
        require((manifest.mode == "freethreaded") == manifest.free_threading, "its mode is one of that Python");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const ep::AbiVersion core{2, 3};
    const fs::path path = directory() / "some.json";
    std::ofstream{path, std::ios::binary | std::ios::trunc} << with_directory(data, size);
    check(ep::read_manifest(path, core), core);
    return 0;
}
