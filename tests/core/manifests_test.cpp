// Directories of manifests: what is found in them, in which order, and which of two wins.
#include "some_manifest.hpp"

#include "catch.hpp"

#include <vector>

using ep::Manifest;
using nlohmann::json;

namespace {

// Writes a backend of that name into a folder; `spoiled` makes a manifest that is refused for itself.
void add(const TemporaryDirectory &directory, const std::string &folder, const std::string &name,
         const std::string &file, bool spoiled = false) {
    json manifest = backend_manifest(directory);
    manifest["name"] = name;
    manifest["file"] = "backend.so";
    if (spoiled) {
        manifest["abi"] = "9.0";
    }
    directory.write(folder + "/backend.so", "");
    directory.write(folder + "/" + file + ".json", manifest.dump());
}

std::vector<std::string> found_in(const std::vector<Manifest> &manifests, const TemporaryDirectory &directory) {
    std::vector<std::string> found;
    for (const Manifest &manifest : manifests) {
        found.push_back((manifest.refusal.empty() ? "" : "-") +
                        manifest.path.lexically_relative(directory.path()).string());
    }
    return found;
}

std::vector<std::string> find(const TemporaryDirectory &directory, std::vector<std::filesystem::path> folders) {
    for (auto &folder : folders) {
        folder = directory.path() / folder;
    }
    return found_in(find_manifests(folders, core_abi), directory);
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("manifests are found directory by directory, by name inside one") {
    TemporaryDirectory directory;
    add(directory, "near", "b", "b");
    add(directory, "near", "a", "a");
    add(directory, "far", "c", "0");
    CHECK(find(directory, {"near", "far"}) == Names{"near/a.json", "near/b.json", "far/0.json"});
    CHECK(find(directory, {"far", "near"}) == Names{"far/0.json", "near/a.json", "near/b.json"});
}

TEST_CASE("only what ends in .json is looked at") {
    TemporaryDirectory directory;
    add(directory, "folder", "a", "a");
    directory.write("folder/a.json.orig", "");
    directory.write("folder/README", "");
    directory.write("folder/deeper/b.json", "");
    CHECK(find(directory, {"folder"}) == Names{"folder/a.json"});
}

TEST_CASE("directories that are not there, or are none, have no manifests") {
    TemporaryDirectory directory;
    directory.write("file", "");
    CHECK(find(directory, {"nowhere", "file", ""}).empty());
    CHECK(find_manifests({}, core_abi).empty());
}

TEST_CASE("what is refused is listed all the same") {
    TemporaryDirectory directory;
    add(directory, "folder", "a", "a", true);
    directory.write("folder/b.json", "garbage");
    CHECK(find(directory, {"folder"}) == Names{"-folder/a.json", "-folder/b.json"});
}

TEST_CASE("of two backends of one name the first is taken and named in the refusal of the other") {
    TemporaryDirectory directory;
    add(directory, "near", "same", "one");
    add(directory, "far", "same", "other");
    CHECK(find(directory, {"near", "far"}) == Names{"near/one.json", "-far/other.json"});
    CHECK(find(directory, {"far", "near"}) == Names{"far/other.json", "-near/one.json"});
    const auto manifests = find_manifests({directory.path() / "near", directory.path() / "far"}, core_abi);
    CHECK(manifests[1].refusal.find((directory.path() / "near/one.json").string()) != std::string::npos);
}

TEST_CASE("a directory that is searched twice offers its backends once") {
    TemporaryDirectory directory;
    add(directory, "folder", "a", "a");
    CHECK(find(directory, {"folder", "folder"}) == Names{"folder/a.json", "-folder/a.json"});
}

TEST_CASE("a backend that is refused does not stand in the way of another of its name") {
    TemporaryDirectory directory;
    add(directory, "1", "same", "one", true);
    add(directory, "2", "same", "two");
    add(directory, "3", "same", "three");
    CHECK(find(directory, {"1", "2", "3"}) == Names{"-1/one.json", "2/two.json", "-3/three.json"});
}

TEST_CASE("a plugin and a backend may have the same name") {
    TemporaryDirectory directory;
    add(directory, "folder", "channel", "backend");
    directory.write("folder/channel.so", "");
    directory.write("folder/plugin.json", plugin_manifest().dump());
    CHECK(find(directory, {"folder"}) == Names{"folder/backend.json", "folder/plugin.json"});
}
