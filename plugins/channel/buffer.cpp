#include "buffer.hpp"

#include "search.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

namespace ep::channel {

namespace {

constexpr size_t default_capacity = 64 * 1024;
// How much memory is asked for before there is anything to be put into it.
constexpr size_t most_ahead = 64 * 1024 * 1024;
// How many bytes are copied or looked at on a scheduler, or with the lock held.
constexpr size_t most_at_once = 256 * 1024;
constexpr size_t never = SIZE_MAX;

struct BufferResource {
    ep_resource base;
    Buffer buffer;
};

Buffer &buffer_of(void *resource) noexcept {
    return static_cast<BufferResource *>(resource)->buffer;
}

void destroy(ErlNifEnv *, void *resource) {
    buffer_of(resource).~Buffer(); // nobody refers to it, so nobody waits
}

ep_status failed(ep_call &call, ERL_NIF_TERM reason) noexcept {
    call.result = reason;
    return EP_FAILED;
}

// What of a timeslice it takes to go on copying from one place to another, in percent. Counted by places: many small
// writes take what one large one takes.
size_t percents(size_t from, size_t to) noexcept {
    constexpr size_t bytes_of_one = 16 * 1024; // where memory is slow
    return to / bytes_of_one - from / bytes_of_one;
}

} // namespace

const ep_resource_type buffer_type{
    sizeof(ep_resource_type), sizeof(BufferResource), "buffer", "erlang._buffer:PyBuffer", destroy, nullptr, nullptr,
};

ERL_NIF_TERM make_buffer(ErlNifEnv *env, std::optional<size_t> length) {
    auto *resource = static_cast<BufferResource *>(host().resource_new(&buffer_type));
    new (&resource->buffer) Buffer{resource->base, length};
    ERL_NIF_TERM term = enif_make_resource(env, resource);
    enif_release_resource(resource);
    return term;
}

Buffer *Buffer::of(ErlNifEnv *env, ERL_NIF_TERM term) {
    void *resource = nullptr;
    return host().resource_of(env, term, &buffer_type, &resource) == EP_OK ? &buffer_of(resource) : nullptr;
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

// How much memory is asked for, when there is not enough for so many bytes.
size_t Buffer::room_for(size_t size) const noexcept {
    size_t room = std::max(size, storage_ ? 2 * storage_->capacity : default_capacity);
    if (length_ && *length_ >= size) {
        room = std::min(std::max(room, std::min(*length_, most_ahead)), *length_);
    }
    return room;
}

StorageRef Buffer::storage_for(size_t size) const {
    try {
        return StorageRef::make(room_for(size));
    } catch (const std::bad_alloc &) {
        return StorageRef::make(size);
    }
}

ep_status Buffer::write(ep_call &call, const ErlNifBinary &data) {
    Waiters woken;
    StorageRef target; // what is in it when this ends is freed without the lock
    std::unique_lock lock{mutex_};
    if (writing_) {
        if (on_scheduler()) {
            return EP_TOO_LONG;
        }
        written_.wait(lock, [this] { return !writing_; });
    }
    if (ended_) {
        return EP_CLOSED;
    }
    if (data.size == 0) {
        return EP_OK;
    }
    if (data.size > PTRDIFF_MAX - size_) {
        return failed(call, atoms().too_large);
    }
    const bool moves = !storage_ || data.size > storage_->capacity - size_;
    const size_t copied = data.size + (moves ? size_ : 0);
    const bool is_long = copied > most_at_once;
    if (moves && storage_.is_viewed()) {
        return failed(call, atoms().memoryview_exists);
    }
    if (is_long && on_scheduler()) {
        return EP_TOO_LONG;
    }
    target = moves ? storage_for(size_ + data.size) : storage_;
    const StorageRef source = storage_;
    if (is_long) {
        writing_ = true;
        lock.unlock();
    }
    if (moves && size_ > 0) {
        std::memcpy(target->data, source->data, size_); // size_: only who writes changes it
    }
    std::memcpy(target->data + size_, data.data, data.size);
    if (is_long) {
        lock.lock();
        writing_ = false;
        written_.notify_all();
        if (ended_) {
            return EP_CLOSED;
        }
        if (moves && storage_.is_viewed()) {
            return failed(call, atoms().memoryview_exists);
        }
    }
    if (moves) {
        std::swap(storage_, target);
    }
    const size_t spent = percents(0, copied - data.size) + percents(size_, size_ + data.size);
    written(data, woken);
    lock.unlock();
    wake(woken, call.sender);
    spend(call, spent);
    return EP_OK;
}

// More bytes are there: who waits for them is taken out.
void Buffer::written(const ErlNifBinary &data, Waiters &woken) noexcept {
    size_ += data.size;
    std::optional<bool> has_newline;
    for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
        const auto next = std::next(waiter);
        bool goes_on = size_ >= waiter->written;
        if (!goes_on && waiter->newline) {
            if (!has_newline) {
                // In many bytes it is not looked for here: there will be one.
                has_newline = data.size > most_at_once || find_byte(data.data, data.size, '\n') != nullptr;
            }
            goes_on = *has_newline;
        }
        if (goes_on) {
            woken.splice(woken.end(), waiters_, waiter);
        }
        waiter = next;
    }
}

void Buffer::end(ErlNifEnv *sender) {
    Waiters woken;
    {
        std::lock_guard lock{mutex_};
        ended_ = true;
        woken.swap(waiters_);
    }
    wake(woken, sender);
}

void Buffer::shut(ErlNifEnv *sender) {
    Waiters woken;
    StorageRef storage;
    {
        std::lock_guard lock{mutex_};
        ended_ = shut_ = true;
        std::swap(storage, storage_);
        woken.swap(waiters_);
    }
    wake(woken, sender);
}

// Without the lock: gave_up takes it.
void Buffer::wake(Waiters &waiters, ErlNifEnv *sender) noexcept {
    for (const Waiter &waiter : waiters) {
        host().waker_wake(waiter.waker, sender); // in vain or not: the others that wait for the same are woken, too
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

ep_status Buffer::wait(ep_call &call, size_t written, bool newline) {
    if (call.waker != nullptr) {
        waiters_.push_back({call.waker, written, newline});
        host().waker_keep(call.waker, &resource_, gave_up);
    }
    return EP_PENDING;
}

void Buffer::gave_up(void *resource, ep_waker *waker, ErlNifEnv *) {
    Buffer &buffer = buffer_of(resource);
    Waiters mine;
    {
        std::lock_guard lock{buffer.mutex_};
        auto found = std::find_if(buffer.waiters_.begin(), buffer.waiters_.end(),
                                  [=](const Waiter &waiter) { return waiter.waker == waker; });
        if (found == buffer.waiters_.end()) {
            return;
        }
        mine.splice(mine.begin(), buffer.waiters_, found);
    }
    host().waker_drop(waker);
}

size_t Buffer::unread(int64_t most) const noexcept {
    return most < 0 ? unread() : static_cast<size_t>(std::min<uint64_t>(unread(), static_cast<uint64_t>(most)));
}

// The binary looks at the storage; whoever reads makes the one copy there is.
ep_status Buffer::take(ep_call &call, size_t size) {
    call.result = storage_.bytes(call.env, position_, size);
    position_ += size;
    return EP_OK;
}

ep_status Buffer::read(ep_call &call, int64_t most, bool waits) {
    std::lock_guard lock{mutex_};
    if (shut_) {
        return EP_CLOSED;
    }
    if (waits && !ended_ && most != 0) {
        if (most < 0 && length_) {
            return wait(call, never, false);
        }
        if (unread() == 0) {
            return wait(call, size_ + 1, false);
        }
    }
    return take(call, unread(most));
}

ep_status Buffer::read(ep_call &call, int64_t most) {
    return read(call, most, true);
}

ep_status Buffer::read_now(ep_call &call, int64_t most) {
    return read(call, most, false);
}

// Many bytes are looked at without the lock, and what was found out is remembered: they do not change.
ep_status Buffer::read_line(ep_call &call, int64_t most) {
    std::unique_lock lock{mutex_};
    for (;;) {
        if (shut_) {
            return EP_CLOSED;
        }
        const size_t last = position_ + unread(most);
        const bool known = line_from_ <= position_ && position_ <= line_to_;
        if (!known) {
            line_from_ = line_to_ = position_;
        }
        if (line_to_ >= last) {
            const bool full = most >= 0 && static_cast<uint64_t>(most) <= last - position_;
            if (full || ended_) {
                return take(call, last - position_);
            }
            const bool far = most < 0 || static_cast<uint64_t>(most) > never - position_;
            return wait(call, far ? never : position_ + static_cast<size_t>(most), true);
        }
        const size_t from = line_to_;
        const StorageRef storage = storage_;
        const bool is_long = last - from > most_at_once;
        if (is_long) {
            if (on_scheduler()) {
                return EP_TOO_LONG;
            }
            lock.unlock();
        }
        const unsigned char *found = find_byte(storage->data + from, last - from, '\n');
        if (is_long) {
            lock.lock();
        }
        const size_t to = found != nullptr ? static_cast<size_t>(found - storage->data) : last;
        if (line_from_ <= position_ && position_ <= to && line_to_ == from) { // nobody has moved it elsewhere meanwhile
            line_to_ = to;
            if (found != nullptr && !shut_ && to < position_ + unread(most)) {
                return take(call, to + 1 - position_);
            }
        }
    }
}

ep_status Buffer::seek(ep_call &call, int64_t offset, int whence) {
    Waiters woken;
    {
        std::lock_guard lock{mutex_};
        if (shut_) {
            return EP_CLOSED;
        }
        if (whence == 2 && !ended_) {
            return failed(call, atoms().not_ended);
        }
        const auto size = static_cast<int64_t>(size_);
        const int64_t base = whence == 0 ? 0 : whence == 1 ? static_cast<int64_t>(position_) : size;
        if (offset < -base || offset > size - base) {
            return failed(call, atoms().out_of_range);
        }
        const auto position = static_cast<size_t>(base + offset);
        if (position < position_) { // there is something to be read again
            woken.swap(waiters_);
        }
        position_ = position;
        call.result = enif_make_uint64(call.env, position_);
    }
    wake(woken, call.sender);
    return EP_OK;
}

ep_status Buffer::find(ep_call &call, const ErlNifBinary &what, int64_t start, int64_t end) {
    StorageRef storage;
    size_t from = 0;
    int64_t size = 0;
    {
        std::lock_guard lock{mutex_};
        if (shut_) {
            return EP_CLOSED;
        }
        storage = storage_;
        from = position_;
        size = static_cast<int64_t>(unread());
    }
    if (size > static_cast<int64_t>(most_at_once) && on_scheduler()) {
        return EP_TOO_LONG;
    }
    auto place = [size](int64_t index) { return index < 0 ? std::max<int64_t>(index + size, 0) : index; };
    const int64_t first = place(start);
    const int64_t last = std::min(place(end), size);
    int64_t index = -1;
    if (first <= last && !storage) {
        index = what.size == 0 ? 0 : -1;
    } else if (first <= last) {
        const unsigned char *data = storage->data + from;
        const auto *found = find_bytes(data + first, static_cast<size_t>(last - first), what.data, what.size);
        index = found != nullptr ? found - data : -1;
    }
    call.result = enif_make_int64(call.env, index);
    return EP_OK;
}

ep_status Buffer::view(ep_call &call) {
    std::lock_guard lock{mutex_};
    if (shut_) {
        return EP_CLOSED;
    }
    call.result = storage_.bytes(call.env, position_, unread());
    if (unread() > 0) {
        call.owner = storage_.begin_view();
        call.release = StorageRef::end_view;
    }
    return EP_OK;
}

ERL_NIF_TERM Buffer::state(ErlNifEnv *env) {
    std::lock_guard lock{mutex_};
    auto boolean = [](bool value) { return value ? atoms().true_ : atoms().false_; };
    return enif_make_tuple4(env, enif_make_uint64(env, unread()), enif_make_uint64(env, position_), boolean(ended_),
                            boolean(shut_));
}

} // namespace ep::channel
