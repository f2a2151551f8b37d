// What top, perf and gdb call a thread of ours.
#pragma once

#include <pthread.h>

namespace ep {

// The calling thread; at most 15 characters. Without a name it would be called as the thread of the VM that started it.
inline void name_thread(const char *name) noexcept {
#if defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#elif defined(__APPLE__)
    pthread_setname_np(name);
#else
    (void)name;
#endif
}

} // namespace ep
