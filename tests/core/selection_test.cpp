// Which backend is taken of those there are, and what is said when none fits.
#include "plain/selection.hpp"

#include "temporary_directory.hpp"

#include "catch.hpp"

using ep::Manifest;
using ep::Selection;
using ep::Wish;

namespace {

Manifest backend(const std::string &path, const std::string &mode, const std::string &python,
                 bool free_threading = false) {
    Manifest manifest;
    manifest.path = path;
    manifest.name = manifest.path.stem();
    manifest.mode = mode;
    manifest.python = python;
    manifest.free_threading = free_threading;
    const std::string series = python.substr(0, python.rfind('.')) + (free_threading ? "t" : "");
    manifest.executable = "/usr/bin/python" + series;
    manifest.libpython = "/usr/lib/libpython" + series + ".so.1.0";
    return manifest;
}

Manifest plugin(const std::string &path) {
    Manifest manifest;
    manifest.path = path;
    manifest.name = manifest.path.stem();
    manifest.kind = Manifest::Kind::plugin;
    return manifest;
}

Manifest refused(Manifest manifest) {
    manifest.refusal = "it is broken";
    return manifest;
}

const std::vector<Manifest> everything{
    refused(backend("/priv/broken.json", "worker", "3.15.0")),
    plugin("/priv/channel.json"),
    backend("/priv/owngil-cp314.json", "owngil", "3.14.2"),
    backend("/priv/worker-cp311.json", "worker", "3.11.2"),
    backend("/priv/worker-cp314.json", "worker", "3.14.2"),
    backend("/far/worker-cp315.json", "worker", "3.15.0"),
    backend("/far/freethreaded-cp314t.json", "freethreaded", "3.14.2", true),
    backend("/far/freethreaded-cp315t.json", "freethreaded", "3.15.1", true),
};

std::string chosen(const std::vector<Manifest> &manifests, const Wish &wish) {
    const Selection selection = select(manifests, wish);
    return selection.chosen ? manifests[*selection.chosen].name : "";
}

std::string reason_for(const std::string &name, const Wish &wish) {
    const Selection selection = select(everything, wish);
    REQUIRE(selection.reasons.size() == everything.size());
    for (size_t i = 0; i < everything.size(); ++i) {
        if (everything[i].name == name) {
            return selection.reasons[i];
        }
    }
    return "no such manifest";
}

} // namespace

TEST_CASE("the backend that is wanted is taken") {
    const auto [mode, python, name] = GENERATE(table<std::string, std::string, std::string>({
        // of the first directory that has one, the newest Python; worker first, since every library works in it
        {"auto", "auto", "worker-cp314"},
        {"worker", "auto", "worker-cp314"},
        {"owngil", "auto", "owngil-cp314"},
        {"freethreaded", "auto", "freethreaded-cp315t"},
        // by version
        {"auto", "3.11", "worker-cp311"},
        {"auto", "3.14", "worker-cp314"},
        {"auto", "3.15", "worker-cp315"},
        {"auto", "3.14t", "freethreaded-cp314t"},
        {"worker", "3.14t", "freethreaded-cp314t"},
        {"freethreaded", "3.15t", "freethreaded-cp315t"},
        {"owngil", "3.14", "owngil-cp314"},
        // by exact version
        {"auto", "3.11.2", "worker-cp311"},
        {"auto", "3.15.1t", "freethreaded-cp315t"},
        {"owngil", "3.14.2", "owngil-cp314"},
        // by path
        {"auto", "/usr/bin/python3.11", "worker-cp311"},
        {"auto", "/usr/bin/python3.14t", "freethreaded-cp314t"},
        {"auto", "/usr/lib/libpython3.15.so.1.0", "worker-cp315"},
        {"owngil", "/usr/bin/python3.14", "owngil-cp314"},
        // not there, or not so
        {"owngil", "3.11", ""},
        {"owngil", "3.14t", ""},
        {"freethreaded", "3.14", ""},
        {"auto", "3.12", ""},
        {"auto", "3.1", ""},
        {"auto", "3", ""},
        {"auto", "3.11t", ""},
        {"auto", "3.11.3", ""},
        {"auto", "3.14.2.1", ""},
        {"auto", "", ""},
        {"auto", "/usr/bin/python3.12", ""},
        {"subinterp", "auto", ""},
    }));
    INFO("backend = " << mode << ", python = " << python);
    CHECK(chosen(everything, {mode, python}) == name);
}

TEST_CASE("an executable is the same one under another name") {
    TemporaryDirectory directory;
    Manifest manifest = backend("/priv/worker-cp311.json", "worker", "3.11.2");
    manifest.executable = directory.write("bin/python3.11", "");
    const auto link = directory.path() / "python";
    std::filesystem::create_symlink(manifest.executable, link);
    CHECK(chosen({manifest}, {"auto", link.string()}) == "worker-cp311");
    CHECK(chosen({manifest}, {"auto", (directory.path() / "bin/../bin/python3.11").string()}) == "worker-cp311");
    CHECK(chosen({manifest}, {"auto", directory.write("bin/python3.12", "").string()}).empty());
}

TEST_CASE("a backend without an executable is not taken for a path that does not exist") {
    Manifest manifest = backend("/priv/worker-cp311.json", "worker", "3.11.2");
    manifest.executable.clear();
    CHECK(chosen({manifest}, {"auto", "/nowhere/python"}).empty());
}

TEST_CASE("a backend found earlier is taken before a newer one found later") {
    CHECK(chosen({backend("/a/old.json", "worker", "3.11.2"), backend("/b/new.json", "worker", "3.14.0")}, {}) ==
          "old");
    CHECK(chosen({backend("/b/new.json", "worker", "3.14.0"), backend("/a/old.json", "worker", "3.11.2")}, {}) ==
          "new");
}

TEST_CASE("in one directory versions count as numbers, and the mode before them") {
    CHECK(chosen({backend("/a/9.json", "worker", "3.9.9"), backend("/a/14.json", "worker", "3.14.0")}, {}) == "14");
    CHECK(chosen({backend("/a/o.json", "owngil", "3.15.0"), backend("/a/w.json", "worker", "3.14.0")}, {}) == "w");
    CHECK(chosen({backend("/a/o.json", "owngil", "3.15.0"), backend("/a/f.json", "freethreaded", "3.14.0", true)},
                 {}) == "f");
}

TEST_CASE("every backend that was not taken has the reason, with both sides") {
    CHECK(reason_for("worker-cp314", {}).empty());                     // it was
    CHECK(reason_for("worker-cp311", {}).empty());                     // it would have done as well
    CHECK(reason_for("channel", {"worker", "3.14"}).empty());          // no backend
    CHECK(reason_for("broken", {"owngil", "3.14"}) == "it is broken"); // its own comes first
    CHECK(reason_for("owngil-cp314", {"worker", "auto"}) == "its mode is owngil and the configuration wants worker");
    CHECK(reason_for("worker-cp311", {"auto", "3.14t"}) == "it is for Python 3.11 and the configuration wants 3.14t");
    CHECK(reason_for("freethreaded-cp314t", {"auto", "3.14"}) ==
          "it is for Python 3.14t and the configuration wants 3.14");
    CHECK(reason_for("worker-cp311", {"auto", "/opt/python"}) ==
          "it is for /usr/bin/python3.11 and the configuration wants /opt/python");
}

TEST_CASE("when no backend fits the error names the wish and every backend with its reason") {
    const Selection selection = select(everything, {"owngil", "3.12"});
    CHECK_FALSE(selection.chosen);
    INFO(selection.error);
    for (const char *part :
         {"backend = owngil", "python = 3.12", "broken: it is broken", "worker-cp311: its mode is worker",
          "owngil-cp314: it is for Python 3.14 and the configuration wants 3.12"}) {
        INFO(part);
        CHECK(selection.error.find(part) != std::string::npos);
    }
    CHECK(selection.error.find("channel") == std::string::npos);
}

TEST_CASE("when nothing was found the error says how to have something found") {
    for (const std::vector<Manifest> &manifests : {std::vector<Manifest>{}, {plugin("/priv/channel.json")}}) {
        const Selection selection = select(manifests, {});
        CHECK_FALSE(selection.chosen);
        INFO(selection.error);
        CHECK(selection.error.find("None was found") != std::string::npos);
        CHECK(selection.error.find("ERLANG_PYTHON_PATH") != std::string::npos);
    }
}

TEST_CASE("a selection that succeeds has no error") {
    CHECK(select(everything, {}).error.empty());
}
