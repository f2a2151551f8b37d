// Threads that nobody joins.
#pragma once

#include <cstddef>
#include <pthread.h>

namespace ep {

// Python checks its C stack against the real size of the thread's, so this is what deep recursion has to live with.
inline constexpr size_t python_stack_size = 16 * 1024 * 1024;

// Starts one whose stack is large enough for Python; the error number when the system has no more.
inline int start_detached(void *(*function)(void *), void *argument) noexcept {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, python_stack_size);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, function, argument);
    pthread_attr_destroy(&attributes);
    return error;
}

} // namespace ep
