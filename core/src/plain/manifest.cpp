#include "manifest.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace ep {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// What is larger is no manifest.
constexpr std::uintmax_t largest = 1024 * 1024;

// An atom has to have room for it.
constexpr size_t longest_name = 255;

std::string cut(const std::string &text) {
    constexpr size_t most = 300;
    return text.size() > most ? text.substr(0, most) + "..." : text;
}

// What is nested only by its kind: dump() takes a stack frame for each level, and schedulers have small stacks.
std::string shown(const json &value) {
    const bool is_nested = value.is_structured() &&
                           std::any_of(value.begin(), value.end(), [](const json &one) { return one.is_structured(); });
    return is_nested ? std::string{"an "} + value.type_name() : cut(value.dump(-1, ' ', true));
}

// One field of a manifest, or a sentence about what is wrong with it.
template <class Value> Value field(const json &object, const char *name, const char *type) {
    auto found = object.find(name);
    if (found == object.end()) {
        throw std::runtime_error{std::string{"the field \""} + name + "\" is missing; it must be " + type};
    }
    try {
        return found->get<Value>();
    } catch (const json::exception &) {
        throw std::runtime_error{std::string{"the field \""} + name + "\" must be " + type + ", not " + shown(*found)};
    }
}

std::string optional_text(const json &object, const char *name) {
    return object.contains(name) ? field<std::string>(object, name, "a string") : std::string{};
}

AbiVersion abi_version(const std::string &text) {
    AbiVersion version;
    const char *end = text.data() + text.size();
    auto [dot, first] = std::from_chars(text.data(), end, version.major);
    if (first == std::errc{} && dot != end && *dot == '.') {
        auto [rest, second] = std::from_chars(dot + 1, end, version.minor);
        if (second == std::errc{} && rest == end) {
            return version;
        }
    }
    throw std::runtime_error{"the field \"abi\" must be a version such as \"0.1\", not \"" + text + "\""};
}

fs::path beside(const fs::path &manifest, const fs::path &file) {
    return fs::absolute(manifest).parent_path() / file;
}

// Why no Python of that kind has contexts of that mode; nullptr when one may.
const char *contradiction(const Manifest &manifest) {
    if (manifest.mode == "freethreaded") {
        return manifest.free_threading ? nullptr : "that mode needs a Python without a GIL";
    }
    if (manifest.free_threading) {
        return "a free-threaded Python has the mode freethreaded only";
    }
    const bool old = manifest.mode == "owngil" && python_version(manifest.python) < std::pair{3, 14};
    return old ? "that mode needs Python 3.14 or newer" : nullptr;
}

void read_backend(const json &object, Manifest &manifest) {
    manifest.mode = field<std::string>(object, "mode", "one of worker, owngil and freethreaded");
    manifest.python = field<std::string>(object, "python", "the Python version, such as \"3.11.2\"");
    manifest.abi_tag = optional_text(object, "abi_tag");
    manifest.free_threading = field<bool>(object, "free_threading", "true or false");
    manifest.libpython = field<std::string>(object, "libpython", "the absolute path of libpython");
    manifest.executable = optional_text(object, "executable");
    if (manifest.mode != "worker" && manifest.mode != "owngil" && manifest.mode != "freethreaded") {
        throw std::runtime_error{"the mode \"" + manifest.mode +
                                 "\" is none of worker, owngil and freethreaded; correct the manifest"};
    }
    if (python_version(manifest.python) < std::pair{3, 11}) {
        throw std::runtime_error{"it is for Python " + manifest.python + "; Python 3.11 is the oldest supported"};
    }
    if (const char *problem = contradiction(manifest)) {
        throw std::runtime_error{"its mode is " + manifest.mode + " and it is for Python " + manifest.python +
                                 (manifest.free_threading ? ", free-threaded: " : ": ") + problem +
                                 "; correct the manifest, or rebuild the backend"};
    }
    if (!manifest.libpython.is_absolute()) {
        throw std::runtime_error{"\"libpython\" must be an absolute path, not \"" + manifest.libpython.string() + "\""};
    }
}

void read_fields(Manifest &manifest, const AbiVersion &core) {
    std::error_code error;
    const fs::file_status status = fs::status(manifest.path, error);
    if (fs::exists(status) && !fs::is_regular_file(status)) { // reading a pipe would wait for somebody who writes
        throw std::runtime_error{"the manifest is no file; remove it"};
    }
    const std::uintmax_t size = fs::file_size(manifest.path, error);
    if (!error && size > largest) {
        throw std::runtime_error{"the manifest has more than 1 MiB; correct or remove it"};
    }
    std::ifstream stream{manifest.path};
    if (!stream) {
        throw std::runtime_error{"the manifest cannot be read; correct its permissions"};
    }
    json object;
    try {
        object = json::parse(stream);
    } catch (const json::parse_error &error) {
        throw std::runtime_error{"the manifest is not JSON: " + cut(error.what()) + "; correct or remove it"};
    }
    if (!object.is_object()) {
        throw std::runtime_error{"the manifest must be a JSON object"};
    }
    auto name = field<std::string>(object, "name", "a name");
    if (name.empty() || name.size() > longest_name || name.find('\0') != std::string::npos) {
        throw std::runtime_error{
            "the field \"name\" must be a name of 1 to 255 bytes, without zeros; correct the manifest"};
    }
    manifest.name = std::move(name);
    auto kind = field<std::string>(object, "kind", "\"backend\" or \"plugin\"");
    if (kind != "backend" && kind != "plugin") {
        throw std::runtime_error{"the kind \"" + kind +
                                 "\" is neither \"backend\" nor \"plugin\"; correct or remove the manifest"};
    }
    manifest.kind = kind == "backend" ? Manifest::Kind::backend : Manifest::Kind::plugin;
    manifest.file = beside(manifest.path, field<std::string>(object, "file", "the name of the shared object"));
    manifest.abi = abi_version(field<std::string>(object, "abi", "a version such as \"0.1\""));
    if (manifest.abi.major != core.major || manifest.abi.minor > core.minor) {
        throw std::runtime_error{"it was built for ABI " + to_string(manifest.abi) + " and this core has ABI " +
                                 to_string(core) + "; install the one that matches this erlang_python"};
    }
    if (manifest.kind == Manifest::Kind::backend) {
        read_backend(object, manifest);
    }
    std::error_code ignored;
    if (!fs::is_regular_file(manifest.file, ignored)) {
        throw std::runtime_error{"its \"file\" " + manifest.file.string() +
                                 " does not exist, or is no file; build it, or remove the manifest"};
    }
    if (manifest.kind == Manifest::Kind::backend && !fs::is_regular_file(manifest.libpython, ignored)) {
        throw std::runtime_error{
            "its \"libpython\" " + manifest.libpython.string() +
            " does not exist, or is no file; install that Python or rebuild the backend for the one you have"};
    }
}

// Of several with one name, the first that can be used.
bool takes_the_place_of(const Manifest &first, const Manifest &other) {
    return first.refusal.empty() && first.kind == other.kind && first.name == other.name;
}

} // namespace

std::string to_string(const AbiVersion &version) {
    return std::to_string(version.major) + "." + std::to_string(version.minor);
}

std::pair<int, int> python_version(const std::string &text) {
    std::pair<int, int> version{0, 0};
    const char *end = text.data() + text.size();
    auto [dot, error] = std::from_chars(text.data(), end, version.first);
    if (error != std::errc{} || dot == end || *dot != '.') {
        return {0, 0};
    }
    auto [rest, second] = std::from_chars(dot + 1, end, version.second);
    return second == std::errc{} ? version : std::pair{0, 0};
}

Manifest read_manifest(const fs::path &path, const AbiVersion &core) {
    Manifest manifest;
    manifest.path = path;
    manifest.name = path.stem().string();
    try {
        read_fields(manifest, core);
    } catch (const std::exception &error) {
        manifest.refusal = error.what();
    }
    return manifest;
}

std::vector<Manifest> find_manifests(const std::vector<fs::path> &directories, const AbiVersion &core) {
    std::vector<Manifest> found;
    for (const fs::path &directory : directories) {
        std::vector<fs::path> files;
        std::error_code error;
        for (const auto &entry : fs::directory_iterator{directory, error}) {
            if (entry.path().extension() == ".json") {
                files.push_back(entry.path());
            }
        }
        std::sort(files.begin(), files.end());
        for (const fs::path &file : files) {
            Manifest manifest = read_manifest(file, core);
            auto first = std::find_if(found.begin(), found.end(),
                                      [&](const Manifest &other) { return takes_the_place_of(other, manifest); });
            if (manifest.refusal.empty() && first != found.end()) {
                manifest.refusal = first->path.string() + " has the same name and comes first";
            }
            found.push_back(std::move(manifest));
        }
    }
    return found;
}

} // namespace ep
