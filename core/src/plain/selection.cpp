#include "selection.hpp"

#include <algorithm>

namespace ep {

namespace fs = std::filesystem;

namespace {

// "3.14" and "3.14t" as users write versions.
std::string flavoured(const Manifest &manifest) {
    auto [major, minor] = python_version(manifest.python);
    return std::to_string(major) + "." + std::to_string(minor) + (manifest.free_threading ? "t" : "");
}

bool same_file(const fs::path &a, const fs::path &b) {
    std::error_code error;
    return a == b || fs::equivalent(a, b, error);
}

// The mode `worker` of a free-threaded Python is its backend `freethreaded`.
std::string mode_mismatch(const Manifest &manifest, const std::string &wish) {
    bool fits = wish == "auto" || wish == manifest.mode || (wish == "worker" && manifest.mode == "freethreaded");
    return fits ? "" : "its mode is " + manifest.mode + " and the configuration wants " + wish;
}

int mode_rank(const std::string &mode) {
    return mode == "worker" ? 0 : mode == "freethreaded" ? 1 : 2;
}

bool better(const Manifest &a, const Manifest &b) {
    if (a.path.parent_path() != b.path.parent_path()) {
        return false; // found earlier wins
    }
    if (mode_rank(a.mode) != mode_rank(b.mode)) {
        return mode_rank(a.mode) < mode_rank(b.mode);
    }
    return python_version(a.python) > python_version(b.python);
}

std::string explain(const std::vector<Manifest> &manifests, const std::vector<std::string> &reasons, const Wish &wish) {
    std::string text = "no backend fits backend = " + wish.backend + ", python = " + wish.python + ".";
    bool any = false;
    for (size_t i = 0; i < manifests.size(); ++i) {
        if (manifests[i].kind == Manifest::Kind::backend) {
            any = true;
            text += " " + manifests[i].name + ": " + reasons[i] + ".";
        }
    }
    if (any && wish.backend == "owngil") {
        text +=
            " That mode needs Python 3.14 or newer with a GIL: build its backend for one, or configure backend = auto.";
    } else if (any && wish.backend == "freethreaded") {
        text +=
            " That mode needs a free-threaded Python, such as 3.14t: build its backend for one, or configure backend "
            "= auto.";
    }
    return any ? text
               : text + " None was found: build one, or name its directory in the environment variable "
                        "ERLANG_PYTHON_PATH.";
}

} // namespace

std::string python_mismatch(const Manifest &manifest, const std::string &wish) {
    if (wish == "auto") {
        return {};
    }
    if (wish.find('/') != std::string::npos) {
        bool fits = same_file(manifest.executable, wish) || same_file(manifest.libpython, wish);
        return fits ? "" : "it is for " + manifest.executable.string() + " and the configuration wants " + wish;
    }
    bool exact = manifest.python + (manifest.free_threading ? "t" : "") == wish;
    return exact || flavoured(manifest) == wish
               ? ""
               : "it is for Python " + flavoured(manifest) + " and the configuration wants " + wish;
}

bool same_python(const Manifest &a, const Manifest &b) {
    return a.free_threading == b.free_threading && python_version(a.python) == python_version(b.python) &&
           same_file(a.libpython, b.libpython);
}

Selection select(const std::vector<Manifest> &manifests, const Wish &wish) {
    Selection selection;
    selection.reasons.resize(manifests.size());
    for (size_t i = 0; i < manifests.size(); ++i) {
        const Manifest &manifest = manifests[i];
        std::string &reason = selection.reasons[i];
        reason = manifest.refusal;
        if (manifest.kind != Manifest::Kind::backend || !reason.empty()) {
            continue;
        }
        reason = mode_mismatch(manifest, wish.backend);
        if (reason.empty()) {
            reason = python_mismatch(manifest, wish.python);
        }
        if (reason.empty() && (!selection.chosen || better(manifest, manifests[*selection.chosen]))) {
            selection.chosen = i;
        }
    }
    if (!selection.chosen) {
        selection.error = explain(manifests, selection.reasons, wish);
    }
    return selection;
}

} // namespace ep
