// One manifest: what is read of it, and what is said about one that cannot be used.
#include "some_manifest.hpp"

#include "catch.hpp"

#include <functional>
#include <sys/stat.h>
#include <vector>

using ep::Manifest;
using nlohmann::json;

namespace {

Manifest read(const TemporaryDirectory &directory, const std::string &text) {
    directory.write("worker-cp311.so", "");
    directory.write("channel.so", "");
    return ep::read_manifest(directory.write("some.json", text), core_abi);
}

struct Spoiled {
    const char *what;
    std::function<void(json &)> spoil;
    std::vector<std::string> refusal; // parts of it
};

std::function<void(json &)> without(const char *key) {
    return [key](json &manifest) { manifest.erase(key); };
}

std::function<void(json &)> with(const char *key, json value) {
    return [key, value](json &manifest) { manifest[key] = value; };
}

void check_refusals(const TemporaryDirectory &directory, const json &good, const std::vector<Spoiled> &table) {
    REQUIRE(read(directory, good.dump()).refusal.empty());
    for (const Spoiled &row : table) {
        json manifest = good;
        row.spoil(manifest);
        const std::string refusal = read(directory, manifest.dump()).refusal;
        for (const std::string &part : row.refusal) {
            INFO(row.what << ": '" << refusal << "' should say '" << part << "'");
            CHECK(refusal.find(part) != std::string::npos);
        }
    }
}

} // namespace

TEST_CASE("a backend's manifest is read") {
    TemporaryDirectory directory;
    const Manifest manifest = read(directory, backend_manifest(directory).dump());
    CHECK(manifest.refusal.empty());
    CHECK(manifest.path == directory.path() / "some.json");
    CHECK(manifest.kind == Manifest::Kind::backend);
    CHECK(manifest.name == "worker-cp311");
    CHECK(to_string(manifest.abi) == "2.3");
    CHECK(manifest.file == directory.path() / "worker-cp311.so");
    CHECK(manifest.mode == "worker");
    CHECK(manifest.python == "3.11.2");
    CHECK(manifest.abi_tag == "cp311");
    CHECK_FALSE(manifest.free_threading);
    CHECK(manifest.libpython == directory.path() / "libpython3.11.so");
    CHECK(manifest.executable == "/usr/bin/python3.11");
}

TEST_CASE("a plugin's manifest is read, and needs no Python") {
    TemporaryDirectory directory;
    const Manifest manifest = read(directory, plugin_manifest().dump());
    CHECK(manifest.refusal.empty());
    CHECK(manifest.kind == Manifest::Kind::plugin);
    CHECK(manifest.name == "channel");
    CHECK(manifest.file == directory.path() / "channel.so");
}

TEST_CASE("what a manifest says that the core does not know is left alone") {
    TemporaryDirectory directory;
    json manifest = backend_manifest(directory);
    manifest["comment"] = {{"built by", "a distribution"}};
    manifest.erase("abi_tag");
    manifest.erase("executable");
    CHECK(read(directory, manifest.dump()).refusal.empty());
}

TEST_CASE("a shared object may lie elsewhere") {
    TemporaryDirectory directory;
    json manifest = plugin_manifest();
    manifest["file"] = directory.write("elsewhere/channel.so", "").string();
    CHECK(read(directory, manifest.dump()).refusal.empty());
    manifest["file"] = "elsewhere/channel.so";
    CHECK(read(directory, manifest.dump()).file == directory.path() / "elsewhere/channel.so");
}

TEST_CASE("a file that is no manifest is refused, under the name of the file") {
    const auto [text, part] = GENERATE(table<std::string, std::string>({
        {"", "not JSON"},
        {"no manifest at all", "not JSON"},
        {R"({"kind": "backend", "name": "wor)", "not JSON"},
        {R"({"kind": "backend"} {"kind": "plugin"})", "not JSON"},
        {"{\"name\": \"\xff\xfe\"}", "not JSON"},
        {std::string("{\"name\": \0}", 11), "not JSON"},
        {std::string(100000, '['), "not JSON"},
        {"[]", "must be a JSON object"},
        {"null", "must be a JSON object"},
        {R"("worker")", "must be a JSON object"},
        {"{}", "\"name\" is missing"},
    }));
    TemporaryDirectory directory;
    const Manifest manifest = read(directory, text);
    INFO(manifest.refusal.substr(0, 200));
    CHECK(manifest.refusal.find(part) != std::string::npos);
    CHECK(manifest.name == "some");
}

TEST_CASE("a manifest that cannot be read is refused") {
    TemporaryDirectory directory;
    CHECK(ep::read_manifest(directory.path() / "none.json", core_abi).refusal ==
          "the manifest cannot be read; correct its permissions");
    std::filesystem::create_directory(directory.path() / "folder.json");
    CHECK(ep::read_manifest(directory.path() / "folder.json", core_abi).refusal ==
          "the manifest is no file; remove it");
    // Nobody will ever write to it.
    REQUIRE(mkfifo((directory.path() / "pipe.json").c_str(), 0600) == 0);
    CHECK(ep::read_manifest(directory.path() / "pipe.json", core_abi).refusal == "the manifest is no file; remove it");
}

TEST_CASE("a manifest that is nested deeply or that is large is refused in a few words") {
    TemporaryDirectory directory;
    const size_t deep = 500'000;
    CHECK(read(directory, "{\"name\": " + std::string(deep, '[') + std::string(deep, ']') + "}").refusal ==
          "the field \"name\" must be a name, not an array");
    CHECK(read(directory, "{\"name\": {\"name\": {}}}").refusal == "the field \"name\" must be a name, not an object");
    const std::string text(100'000, 'x');
    CHECK(read(directory, "{\"name\": [\"" + text + "\"]}").refusal.size() < 400);
    CHECK(read(directory, "{\"name\": \"" + text).refusal.size() < 400);
    CHECK(read(directory, std::string(1024 * 1024 + 1, ' ')).refusal.find("more than 1 MiB") != std::string::npos);
}

TEST_CASE("a backend's manifest is refused for what is wrong with it") {
    TemporaryDirectory directory;
    const std::string nowhere = (directory.path() / "nowhere.so").string();
    check_refusals(
        directory, backend_manifest(directory),
        {
            {"no name", without("name"), {"\"name\"", "missing"}},
            {"no kind", without("kind"), {"\"kind\"", "missing", "\"backend\" or \"plugin\""}},
            {"no file", without("file"), {"\"file\"", "missing"}},
            {"no ABI", without("abi"), {"\"abi\"", "missing", "such as"}},
            {"no mode", without("mode"), {"\"mode\"", "missing", "worker, owngil and freethreaded"}},
            {"no Python", without("python"), {"\"python\"", "missing", "such as \"3.11.2\""}},
            {"no flavour", without("free_threading"), {"\"free_threading\"", "missing", "true or false"}},
            {"no libpython", without("libpython"), {"\"libpython\"", "missing", "absolute path"}},
            {"a name that is a number", with("name", 5), {"\"name\"", "must be", "not 5"}},
            {"an empty name", with("name", ""), {"\"name\"", "1 to 255 bytes", "correct"}},
            {"a long name", with("name", std::string(256, 'n')), {"\"name\"", "1 to 255 bytes"}},
            {"a name with a zero", with("name", std::string("a\0b", 3)), {"\"name\"", "without zeros"}},
            {"a kind that is a list", with("kind", {"backend"}), {"\"kind\"", "must be", "not [\"backend\"]"}},
            {"a file that is null", with("file", nullptr), {"\"file\"", "must be", "not null"}},
            {"an ABI that is a number", with("abi", 2.3), {"\"abi\"", "must be", "not 2.3"}},
            {"a mode that is true", with("mode", true), {"\"mode\"", "must be", "not true"}},
            {"a Python that is a number", with("python", 3.11), {"\"python\"", "must be", "not 3.11"}},
            {"a flavour that is a word", with("free_threading", "no"), {"\"free_threading\"", "not \"no\""}},
            {"a libpython that is an object", with("libpython", json::object()), {"\"libpython\"", "not {}"}},
            {"an ABI tag that is a number", with("abi_tag", 311), {"\"abi_tag\"", "must be", "not 311"}},
            {"an executable that is a list", with("executable", json::array()), {"\"executable\"", "not []"}},
            {"an unknown kind", with("kind", "addon"), {"\"addon\"", "\"backend\"", "\"plugin\""}},
            {"an unknown mode", with("mode", "subinterp"), {"\"subinterp\"", "worker, owngil and freethreaded"}},
            {"an empty mode", with("mode", ""), {"the mode \"\""}},
            {"an old Python", with("python", "3.10.14"), {"Python 3.10.14", "3.11 is the oldest"}},
            {"a very old Python", with("python", "2.7"), {"Python 2.7", "3.11 is the oldest"}},
            {"a Python that is no version", with("python", "newest"), {"newest"}},
            {"a libpython with a relative path",
             with("libpython", "libpython3.11.so"),
             {"absolute path", "\"libpython3.11.so\""}},
            {"a libpython that does not exist",
             with("libpython", nowhere),
             {nowhere, "does not exist", "install that Python or rebuild"}},
            {"a shared object that does not exist", with("file", "nowhere.so"), {nowhere, "does not exist"}},
            {"a shared object that is a directory", with("file", "."), {directory.path().string()}},
            {"a shared object without a name", with("file", ""), {"\"file\""}},
        });
}

TEST_CASE("a plugin's manifest is refused for what is wrong with it") {
    TemporaryDirectory directory;
    check_refusals(directory, plugin_manifest(),
                   {
                       {"no name", without("name"), {"\"name\"", "missing"}},
                       {"no file", without("file"), {"\"file\"", "missing"}},
                       {"no ABI", without("abi"), {"\"abi\"", "missing"}},
                       {"a newer ABI", with("abi", "2.4"), {"ABI 2.4", "ABI 2.3", "install"}},
                       {"a shared object that does not exist", with("file", "nowhere.so"), {"does not exist"}},
                   });
}

TEST_CASE("an ABI that does not fit is refused with both versions and the way out") {
    TemporaryDirectory directory;
    for (const char *abi : {"2.4", "2.65536", "3.0", "3.3", "1.3", "1.99", "0.0"}) {
        json manifest = backend_manifest(directory);
        manifest["abi"] = abi;
        const std::string refusal = read(directory, manifest.dump()).refusal;
        INFO(refusal);
        CHECK(refusal.find(std::string{"ABI "} + abi + " ") != std::string::npos);
        CHECK(refusal.find("ABI 2.3;") != std::string::npos);
        CHECK(refusal.find("install") != std::string::npos);
    }
}

TEST_CASE("an older ABI of the same major version fits") {
    TemporaryDirectory directory;
    json manifest = backend_manifest(directory);
    for (const char *abi : {"2.3", "2.2", "2.0"}) {
        manifest["abi"] = abi;
        CHECK(read(directory, manifest.dump()).refusal.empty());
    }
}

TEST_CASE("an ABI that is no version is refused with an example of one") {
    TemporaryDirectory directory;
    for (const char *abi : {"", "2", "2.", ".3", "2.3.1", "2.3 ", " 2.3", "-2.3", "2.-3", "2,3", "v2.3", "two",
                            "99999999999999999999.3", "2.99999999999999999999"}) {
        json manifest = backend_manifest(directory);
        manifest["abi"] = abi;
        const std::string refusal = read(directory, manifest.dump()).refusal;
        INFO(refusal);
        CHECK(refusal.find("\"abi\"") != std::string::npos);
        CHECK(refusal.find(std::string{"not \""} + abi + "\"") != std::string::npos);
        CHECK(refusal.find("such as \"0.1\"") != std::string::npos);
    }
}

TEST_CASE("versions of Python are compared by their first two numbers") {
    const auto [text, major, minor] = GENERATE(table<std::string, int, int>({
        {"3.14.7", 3, 14},
        {"3.14", 3, 14},
        {"3.15.0a1", 3, 15},
        {"3.15a1", 3, 15},
        {"3", 0, 0},
        {"3.", 0, 0},
        {"", 0, 0},
        {"new", 0, 0},
        {"3,14", 0, 0},
    }));
    CHECK(ep::python_version(text) == std::pair{major, minor});
}
