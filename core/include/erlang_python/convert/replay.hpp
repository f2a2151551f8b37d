// Flat values turned into the values of some language: the second half of every conversion.
#pragma once

#include "flat.hpp"

namespace ep {

// A Builder makes values of its own type `Value` and throws when it cannot:
//   none() boolean(b) integer(i) big_integer(negative, slice) floating(d) text(slice) bytes(slice) atom(term) pid(term)
//   view(env, term) big_text(env, term) big_bytes(env, term) object(env, term) opaque(tag, env, term)
//   List list(n), set(list, i, Value&&), Value finish(List&&); the same with Tuple; Map map(n), insert(map, k, v), finish
template <class Builder> typename Builder::Value replay(FlatReader &reader, Builder &builder) {
    switch (ep_tag tag = reader.tag()) {
    case EP_TAG_NONE: return builder.none();
    case EP_TAG_FALSE: return builder.boolean(false);
    case EP_TAG_TRUE: return builder.boolean(true);
    case EP_TAG_INT: return builder.integer(reader.raw<int64_t>());
    case EP_TAG_BIGINT: {
        bool negative = reader.raw<uint8_t>() != 0;
        return builder.big_integer(negative, reader.data());
    }
    case EP_TAG_FLOAT: return builder.floating(reader.raw<double>());
    case EP_TAG_TEXT: return builder.text(reader.data());
    case EP_TAG_BYTES: return builder.bytes(reader.data());
    case EP_TAG_ATOM: return builder.atom(reader.raw<ERL_NIF_TERM>());
    case EP_TAG_PID: return builder.pid(reader.raw<ERL_NIF_TERM>());
    case EP_TAG_INTS: {
        auto n = reader.raw<uint32_t>();
        auto list = builder.list(n);
        for (uint32_t i = 0; i < n; ++i) {
            builder.set(list, i, builder.integer(reader.raw<int64_t>()));
        }
        return builder.finish(std::move(list));
    }
    case EP_TAG_FLOATS: {
        auto n = reader.raw<uint32_t>();
        auto list = builder.list(n);
        for (uint32_t i = 0; i < n; ++i) {
            builder.set(list, i, builder.floating(reader.raw<double>()));
        }
        return builder.finish(std::move(list));
    }
    case EP_TAG_LIST: {
        auto n = reader.raw<uint32_t>();
        auto list = builder.list(n);
        for (uint32_t i = 0; i < n; ++i) {
            builder.set(list, i, replay(reader, builder));
        }
        return builder.finish(std::move(list));
    }
    case EP_TAG_TUPLE: {
        auto n = reader.raw<uint32_t>();
        auto tuple = builder.tuple(n);
        for (uint32_t i = 0; i < n; ++i) {
            builder.set(tuple, i, replay(reader, builder));
        }
        return builder.finish(std::move(tuple));
    }
    case EP_TAG_MAP: {
        auto n = reader.raw<uint32_t>();
        auto map = builder.map(n);
        for (uint32_t i = 0; i < n; ++i) {
            auto key = replay(reader, builder);
            builder.insert(map, std::move(key), replay(reader, builder));
        }
        return builder.finish(std::move(map));
    }
    case EP_TAG_CHARLIST: {
        auto n = reader.raw<uint32_t>();
        auto list = builder.list(n);
        for (uint32_t i = 0; i < n; ++i) {
            builder.set(list, i, builder.integer(reader.raw<uint32_t>()));
        }
        return builder.finish(std::move(list));
    }
    case EP_TAG_BIG_TEXT: return builder.big_text(reader.env(), reader.term());
    case EP_TAG_BIG_BYTES: return builder.big_bytes(reader.env(), reader.term());
    case EP_TAG_VIEW: return builder.view(reader.env(), reader.term());
    case EP_TAG_OBJECT: return builder.object(reader.env(), reader.term());
    default: return builder.opaque(tag, reader.env(), reader.term());
    }
}

} // namespace ep
