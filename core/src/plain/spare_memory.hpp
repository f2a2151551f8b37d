// Memory that was freed and that the C library keeps.
#pragma once

#include <cstdlib> // says whether this is glibc

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace ep {

// Gives it back to the system. The BEAM sets glibc up so that it would keep it for good. May take some milliseconds, in
// which other threads of this kind wait for memory. Other C libraries give memory back by themselves.
inline void give_spare_memory_back() noexcept {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

} // namespace ep
