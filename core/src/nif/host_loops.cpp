// Event loops as selectors of Python's see them.
#include "event_loop.hpp"

#include <cerrno>

namespace ep {

namespace {

EventLoop &of(ep_event_loop *loop) noexcept {
    return *static_cast<EventLoop *>(loop);
}

uint8_t directions_of(uint32_t directions) noexcept {
    static_assert(EP_LOOP_READ == for_reading && EP_LOOP_WRITE == for_writing);
    return static_cast<uint8_t>(directions & (for_reading | for_writing));
}

} // namespace

ep_event_loop *loop_new() noexcept {
    EventLoop *loop = make_event_loop();
    if (loop->open_fd() == -1) {
        const int error = errno;
        loop_release(loop);
        errno = error;
        return nullptr;
    }
    return loop;
}

void loop_release(ep_event_loop *loop) noexcept {
    loop_close(loop);
    enif_release_resource(&of(loop));
}

ERL_NIF_TERM loop_term(ErlNifEnv *env, ep_event_loop *loop) noexcept {
    return enif_make_resource(env, &of(loop));
}

void loop_close(ep_event_loop *loop) noexcept {
    of(loop).close(nullptr);
}

int32_t loop_fd(ep_event_loop *loop) noexcept {
    return of(loop).open_fd();
}

int32_t loop_watch(ep_event_loop *loop, int32_t fd, uint32_t directions) noexcept {
    return of(loop).watch(fd, directions_of(directions));
}

int32_t loop_change(ep_event_loop *loop, int32_t fd, uint32_t directions) noexcept {
    return of(loop).change(fd, directions_of(directions));
}

int32_t loop_forget(ep_event_loop *loop, int32_t fd) noexcept {
    return of(loop).forget(fd);
}

void loop_rearm(ep_event_loop *loop) noexcept {
    of(loop).rearm(nullptr);
}

int32_t loop_take(ep_event_loop *loop, ep_ready *ready, size_t room) noexcept {
    int32_t count = 0;
    of(loop).take(room, [&](const EventLoop::Ready &one) {
        ready[count++] = {static_cast<int32_t>(one.key), one.what};
    });
    return count == 0 && !of(loop).has_worker() ? -1 : count;
}

} // namespace ep
