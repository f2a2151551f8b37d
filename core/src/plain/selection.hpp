// Which of the backends that were found is taken.
#pragma once

#include "manifest.hpp"

#include <optional>
#include <string>
#include <vector>

namespace ep {

// What the user asked for.
struct Wish {
    std::string backend = "auto"; // or a mode
    std::string python = "auto";  // or "3.14", "3.14t", or the path of an executable or a libpython
};

struct Selection {
    std::optional<size_t> chosen;     // an index into the manifests
    std::vector<std::string> reasons; // one a manifest: why it was not taken; empty for the one that was, and for
                                      // those that would have done as well
    std::string error;                // when nothing was chosen: what was asked for, what there was, what to do
};

// Takes, of the backends that fit the wish, the first directory's, and of one directory the newest Python's. With
// `auto` the mode `worker` comes first, since every library works in it; on a free-threaded Python the mode
// freethreaded serves it.
Selection select(const std::vector<Manifest> &manifests, const Wish &wish);

// Why a backend is not for the Python that `wish` names; empty when it is.
std::string python_mismatch(const Manifest &manifest, const std::string &wish);

// Whether two backends are for the same libpython.
bool same_python(const Manifest &a, const Manifest &b);

} // namespace ep
