// Freeing what may be large without holding anybody up.
#pragma once

#include "detached_thread.hpp"

#include <cstddef>
#include <memory>
#include <utility>

namespace ep {

// So many elements are freed at once on a scheduler: more take too long.
inline constexpr size_t freed_here = 500;

template <class Map> void *free_map(void *map) {
    delete static_cast<Map *>(map);
    return nullptr;
}

// Empties a container, on a thread of its own where that takes long.
template <class Map> void discard(Map &map) {
    if (map.size() <= freed_here) {
        map.clear();
        return;
    }
    auto moved = std::make_unique<Map>(std::exchange(map, {}));
    if (start_detached(free_map<Map>, moved.get()) == 0) {
        moved.release();
    }
}

} // namespace ep
