#include "wake_fd.hpp"

#include <cstdint>
#include <fcntl.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/eventfd.h>
#endif

namespace ep {

WakeFd::~WakeFd() {
    close();
}

void WakeFd::close() noexcept {
    if (read_ != -1) {
        ::close(read_);
    }
    if (write_ != read_) {
        ::close(write_);
    }
    read_ = write_ = -1;
}

#if defined(__linux__)

bool WakeFd::open() noexcept {
    if (read_ == -1) {
        read_ = write_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    return read_ != -1;
}

#else

bool WakeFd::open() noexcept {
    if (read_ != -1) {
        return true;
    }
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    for (int end : ends) {
        fcntl(end, F_SETFD, FD_CLOEXEC);
        fcntl(end, F_SETFL, O_NONBLOCK);
    }
    read_ = ends[0];
    write_ = ends[1];
    return true;
}

#endif

void WakeFd::signal() noexcept {
    const uint64_t one = 1; // what an eventfd takes, and a pipe, too
    // It can only fail when it is readable already.
    [[maybe_unused]] const auto written = write(write_, &one, sizeof one);
}

void WakeFd::drain() noexcept {
    char some[64];
    while (read(read_, some, sizeof some) == sizeof some) { // an eventfd gives 8 bytes, whatever was written
    }
}

} // namespace ep
