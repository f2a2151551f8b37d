// The rules by which values of another language become Erlang's: what it knows of each is recorded as a flat value,
// and terms.hpp makes the terms.
#pragma once

#include "decode.hpp"

#include <cmath>
#include <cstdint>

namespace ep {

// What a value is to Erlang.
enum class Shape : uint8_t { none, true_, false_, integer, floating, text, bytes, list, tuple, map, sequence, term };

// Walks values and drives a sink with the interface of FlatWriter. A Source knows one language's values through a
// borrowed `View`, and throws what it likes:
//   Shape shape(v)
//   bool small_integer(v, int64_t &); void big_integer(sink, v)
//   double floating(v); void text(sink, v), bytes(sink, v), term(sink, v)
//   size_t size(v), bool item(v, size_t i, Owned &): of a list or tuple; item is false behind the last
//   View view(const Owned &)
//   for_each(v, f) for a sequence; pairs(v): a cursor with bool next(Owned &key, Owned &value)
//   [[noreturn]] too_deep()
template <class Source, class Sink> class Encoder {
public:
    using View = typename Source::View;
    using Owned = typename Source::Owned;

    Encoder(Source &source, Sink &sink) : source_(source), sink_(sink) {}

    void value(View v) { value(v, 0); }

private:
    void value(View v, uint32_t depth) {
        switch (source_.shape(v)) {
        case Shape::none: sink_.tag(EP_TAG_NONE); break;
        case Shape::true_: sink_.tag(EP_TAG_TRUE); break;
        case Shape::false_: sink_.tag(EP_TAG_FALSE); break;
        case Shape::integer: integer(v); break;
        case Shape::floating: sink_.floating(source_.floating(v)); break;
        case Shape::text: source_.text(sink_, v); break;
        case Shape::bytes: source_.bytes(sink_, v); break;
        case Shape::term: source_.term(sink_, v); break;
        case Shape::list: list(v, deeper(depth)); break;
        case Shape::tuple: items(v, sink_.begin(EP_TAG_TUPLE), 0, deeper(depth)); break;
        case Shape::map: map(v, deeper(depth)); break;
        case Shape::sequence: sequence(v, deeper(depth)); break;
        }
    }

    uint32_t deeper(uint32_t depth) {
        if (depth >= max_nesting) {
            source_.too_deep();
        }
        return depth + 1;
    }

    void integer(View v) {
        int64_t small = 0;
        if (source_.small_integer(v, small)) {
            sink_.integer(small);
        } else {
            source_.big_integer(sink_, v);
        }
    }

    // Lists of integers and of floats, the most common large ones, are guessed from their first element.
    void list(View v, uint32_t depth) {
        Owned first;
        if (!source_.item(v, 0, first)) {
            sink_.begin(EP_TAG_LIST, 0);
            return;
        }
        int64_t small = 0;
        const Shape shape = source_.shape(source_.view(first));
        if (shape == Shape::integer && source_.small_integer(source_.view(first), small)) {
            run<int64_t>(v, EP_TAG_INTS, EP_TAG_INT, depth, [this](View item, int64_t &value) {
                return source_.shape(item) == Shape::integer && source_.small_integer(item, value);
            });
        } else if (shape == Shape::floating) {
            run<double>(v, EP_TAG_FLOATS, EP_TAG_FLOAT, depth, [this](View item, double &value) {
                if (source_.shape(item) != Shape::floating) {
                    return false;
                }
                value = source_.floating(item);
                return true;
            });
        } else {
            items(v, sink_.begin(EP_TAG_LIST), 0, depth);
        }
    }

    // Elements of one kind; when one is of another, what there is becomes the beginning of an ordinary list.
    template <class Eight, class Get> void run(View v, ep_tag tag, ep_tag element, uint32_t depth, Get get) {
        size_t mark = sink_.begin(tag);
        Eight value{};
        Owned item;
        uint32_t n = 0;
        while (source_.item(v, n, item)) { // nothing here runs code that could make the list longer
            if (!get(source_.view(item), value)) {
                sink_.run_becomes_list(mark, n, element);
                items(v, mark, n, depth);
                return;
            }
            sink_.element(value);
            ++n;
        }
        sink_.end(mark, n);
    }

    // Elements from `i` on, of a container that was begun. As many as there are now: converting one may run code that
    // appends more, without end.
    void items(View v, size_t mark, uint32_t i, uint32_t depth) {
        const size_t size = source_.size(v);
        Owned item;
        for (; i < size && source_.item(v, i, item); ++i) {
            value(source_.view(item), depth);
        }
        sink_.end(mark, i);
    }

    void sequence(View v, uint32_t depth) {
        size_t mark = sink_.begin(EP_TAG_LIST);
        uint32_t n = 0;
        source_.for_each(v, [&](View item) {
            value(item, depth);
            ++n;
        });
        sink_.end(mark, n);
    }

    void map(View v, uint32_t depth) {
        size_t mark = sink_.begin(EP_TAG_MAP);
        auto cursor = source_.pairs(v);
        Owned key;
        Owned element;
        uint32_t n = 0;
        for (; cursor.next(key, element); ++n) {
            value(source_.view(key), depth);
            value(source_.view(element), depth);
        }
        sink_.end(mark, n);
    }

    Source &source_;
    Sink &sink_;
};

} // namespace ep
