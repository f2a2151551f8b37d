#include "feed.hpp"

#include "arguments.hpp"
#include "nifs.hpp"

#include <algorithm>
#include <utility>

namespace ep {

void Feed::open(const ErlNifPid &reader, uint32_t most) noexcept {
    std::lock_guard lock{mutex_};
    reader_ = reader;
    most_ = most;
    unread_ = 0;
    dropped_ = 0;
    open_.store(true);
}

void Feed::close() noexcept {
    std::lock_guard lock{mutex_};
    open_.store(false);
}

ep_status Feed::offer(ErlNifEnv *env, ERL_NIF_TERM message) noexcept {
    std::lock_guard lock{mutex_}; // also so that a thread's messages stay in their order
    if (!open_.load()) {
        return EP_NOT_RUNNING;
    }
    if (unread_ >= most_) {
        ++dropped_;
        return EP_FAILED;
    }
    if (!enif_send(nullptr, &reader_, env, message)) {
        open_.store(false);
        return EP_NOT_RUNNING;
    }
    ++unread_;
    return EP_OK;
}

uint64_t Feed::taken(uint32_t count) noexcept {
    std::lock_guard lock{mutex_};
    unread_ -= std::min(count, unread_);
    return std::exchange(dropped_, 0);
}

namespace {

Feed *find_feed(uint32_t feed) noexcept {
    return feed < Core::feed_count ? &core().feeds[feed] : nullptr;
}

// By the atoms log and spans, in the order of ep_feed.
Feed &get_feed(ErlNifEnv *env, ERL_NIF_TERM name) {
    const char *names[] = {"log", "spans"};
    for (uint32_t i = 0; i < Core::feed_count; ++i) {
        if (name == enif_make_atom(env, names[i])) {
            return core().feeds[i];
        }
    }
    throw BadArgument{};
}

uint32_t get_count(ErlNifEnv *env, ERL_NIF_TERM term) {
    unsigned count = 0;
    if (!enif_get_uint(env, term, &count)) {
        throw BadArgument{};
    }
    return count;
}

} // namespace

ep_status feed(uint32_t feed, ErlNifEnv *env, ERL_NIF_TERM message) noexcept {
    Feed *found = find_feed(feed);
    return found != nullptr ? found->offer(env, message) : EP_WRONG_KIND;
}

int32_t feed_is_open(uint32_t feed) noexcept {
    const Feed *found = find_feed(feed);
    return found != nullptr && found->is_open() ? 1 : 0;
}

// Feed, Most
ERL_NIF_TERM nif_feed_open(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifPid self;
    enif_self(env, &self);
    get_feed(env, argv[0]).open(self, get_count(env, argv[1]));
    return core().atoms.ok;
}

ERL_NIF_TERM nif_feed_close(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    get_feed(env, argv[0]).close();
    return core().atoms.ok;
}

// Feed, Count
ERL_NIF_TERM nif_feed_taken(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return enif_make_uint64(env, get_feed(env, argv[0]).taken(get_count(env, argv[1])));
}

} // namespace ep
