// Buffers, as Erlang and Python call them. The first argument is the buffer, where nothing else is said.
#include "buffer.hpp"
#include "functions.hpp"

#include <optional>

namespace ep::channel {

namespace {

Buffer *buffer_argument(const ep_call &call) {
    return Buffer::of(call.env, call.args[0]);
}

std::optional<int64_t> integer_argument(const ep_call &call, int i) {
    ErlNifSInt64 value = 0;
    if (!enif_get_int64(call.env, call.args[i], &value)) {
        return std::nullopt;
    }
    return value;
}

ep_status read_with(ep_call &call, ep_status (Buffer::*read)(ep_call &, int64_t)) {
    Buffer *buffer = buffer_argument(call);
    const auto most = integer_argument(call, 1);
    return buffer != nullptr && most ? (buffer->*read)(call, *most) : EP_WRONG_KIND;
}

} // namespace

// (Length | undefined) -> the buffer
ep_status buffer_new(ep_call &call) {
    ErlNifUInt64 length = 0;
    if (call.args[0] == atoms().undefined) {
        call.result = make_buffer(call.env, std::nullopt);
        return EP_OK;
    }
    if (!enif_is_number(call.env, call.args[0])) {
        return EP_WRONG_KIND;
    }
    if (!enif_get_uint64(call.env, call.args[0], &length) || length > PTRDIFF_MAX / 2) {
        call.result = atoms().too_large;
        return EP_FAILED;
    }
    call.result = make_buffer(call.env, length);
    return EP_OK;
}

// (Binary) -> a buffer of these bytes, and no more
ep_status buffer_of_bytes(ep_call &call) {
    ErlNifBinary data;
    if (!enif_inspect_binary(call.env, call.args[0], &data)) {
        return EP_WRONG_KIND;
    }
    const ERL_NIF_TERM term = make_buffer(call.env, data.size);
    Buffer *buffer = Buffer::of(call.env, term);
    const ep_status status = buffer->write(call, data);
    if (status == EP_OK) {
        buffer->end(call.sender);
        call.result = term;
    }
    return status;
}

// (Buffer): whether it is one
ep_status buffer_check(ep_call &call) {
    return buffer_argument(call) != nullptr ? EP_OK : EP_WRONG_KIND;
}

// (Buffer, Binary)
ep_status buffer_write(ep_call &call) {
    Buffer *buffer = buffer_argument(call);
    ErlNifBinary data;
    return buffer != nullptr && enif_inspect_binary(call.env, call.args[1], &data) ? buffer->write(call, data)
                                                                                   : EP_WRONG_KIND;
}

ep_status buffer_end(ep_call &call) {
    Buffer *buffer = buffer_argument(call);
    if (buffer == nullptr) {
        return EP_WRONG_KIND;
    }
    buffer->end(call.sender);
    return EP_OK;
}

ep_status buffer_shut(ep_call &call) {
    Buffer *buffer = buffer_argument(call);
    if (buffer == nullptr) {
        return EP_WRONG_KIND;
    }
    buffer->shut(call.sender);
    return EP_OK;
}

// (Buffer, Most); pending: what is there is not enough
ep_status buffer_read(ep_call &call) {
    return read_with(call, &Buffer::read);
}

ep_status buffer_read_now(ep_call &call) {
    return read_with(call, &Buffer::read_now);
}

ep_status buffer_read_line(ep_call &call) {
    return read_with(call, &Buffer::read_line);
}

// (Buffer, Offset, 0..2)
ep_status buffer_seek(ep_call &call) {
    Buffer *buffer = buffer_argument(call);
    const auto offset = integer_argument(call, 1);
    const auto whence = integer_argument(call, 2);
    if (buffer == nullptr || !offset || !whence || *whence < 0 || *whence > 2) {
        return EP_WRONG_KIND;
    }
    return buffer->seek(call, *offset, static_cast<int>(*whence));
}

// (Buffer, Binary, Start, End)
ep_status buffer_find(ep_call &call) {
    Buffer *buffer = buffer_argument(call);
    const auto start = integer_argument(call, 2);
    const auto end = integer_argument(call, 3);
    ErlNifBinary what;
    if (buffer == nullptr || !start || !end || !enif_inspect_binary(call.env, call.args[1], &what)) {
        return EP_WRONG_KIND;
    }
    return buffer->find(call, what, *start, *end);
}

ep_status buffer_view(ep_call &call) {
    Buffer *buffer = buffer_argument(call);
    return buffer != nullptr ? buffer->view(call) : EP_WRONG_KIND;
}

// (Buffer) -> {Unread, Position, HasEnded, IsShut}
ep_status buffer_state(ep_call &call) {
    Buffer *buffer = buffer_argument(call);
    if (buffer == nullptr) {
        return EP_WRONG_KIND;
    }
    call.result = buffer->state(call.env);
    return EP_OK;
}

} // namespace ep::channel
