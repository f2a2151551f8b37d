// The values of a language that exists for tests of the encoder.
#pragma once

#include <erlang_python/convert/encode.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

struct Value;
using Shared = std::shared_ptr<Value>;

struct Value {
    ep::Shape shape = ep::Shape::none;
    int64_t integer = 0;
    double floating = 0;
    bool is_big = false;
    bool negative = false;
    std::string bytes;         // of text and bytes, and the magnitude of a big integer
    ERL_NIF_TERM term = 0;     // of a term
    std::vector<Shared> items; // of a map: key, value, key, value…
};

inline Shared simple(ep::Shape shape) {
    auto value = std::make_shared<Value>();
    value->shape = shape;
    return value;
}

inline Shared integer(int64_t n) {
    Shared value = simple(ep::Shape::integer);
    value->integer = n;
    return value;
}

inline Shared big_integer(bool negative, std::string magnitude) {
    Shared value = simple(ep::Shape::integer);
    value->is_big = true;
    value->negative = negative;
    value->bytes = std::move(magnitude);
    return value;
}

inline Shared floating(double d) {
    Shared value = simple(ep::Shape::floating);
    value->floating = d;
    return value;
}

inline Shared text(std::string bytes, ep::Shape shape = ep::Shape::text) {
    Shared value = simple(shape);
    value->bytes = std::move(bytes);
    return value;
}

inline Shared term(ERL_NIF_TERM term) {
    Shared value = simple(ep::Shape::term);
    value->term = term;
    return value;
}

inline Shared container(ep::Shape shape, std::vector<Shared> items) {
    Shared value = simple(shape);
    value->items = std::move(items);
    return value;
}

inline Shared list(std::vector<Shared> items) {
    return container(ep::Shape::list, std::move(items));
}

// What ep::Encoder asks about them.
struct ValueSource {
    struct TooDeep {};
    using View = Value *;
    using Owned = Shared;

    struct Cursor {
        Value *map;
        size_t i = 0;
        bool next(Owned &key, Owned &value) {
            if (i + 1 >= map->items.size()) {
                return false;
            }
            key = map->items[i++];
            value = map->items[i++];
            return true;
        }
    };

    // Called for every element that is asked for: what code that runs meanwhile may do to the container.
    std::function<void(Value &container, size_t i)> meanwhile = [](Value &, size_t) {};

    ep::Shape shape(View v) const { return v->shape; }
    bool small_integer(View v, int64_t &value) const {
        value = v->integer;
        return !v->is_big;
    }
    template <class Sink> void big_integer(Sink &sink, View v) const {
        sink.big_integer(v->negative, reinterpret_cast<const unsigned char *>(v->bytes.data()), v->bytes.size());
    }
    double floating(View v) const { return v->floating; }
    template <class Sink> void text(Sink &sink, View v) const { sink.binary(v->bytes.data(), v->bytes.size()); }
    template <class Sink> void bytes(Sink &sink, View v) const { sink.binary(v->bytes.data(), v->bytes.size()); }
    template <class Sink> void term(Sink &sink, View v) const { sink.term(EP_TAG_TERM, v->term); }
    size_t size(View v) const { return v->items.size(); }
    bool item(View v, size_t i, Owned &item) const {
        meanwhile(*v, i);
        if (i >= v->items.size()) {
            return false;
        }
        item = v->items[i];
        return true;
    }
    View view(const Owned &owned) const { return owned.get(); }
    template <class Function> void for_each(View v, Function function) const {
        for (const Shared &item : v->items) {
            function(item.get());
        }
    }
    Cursor pairs(View v) const { return {v}; }
    [[noreturn]] void too_deep() const { throw TooDeep{}; }
};
