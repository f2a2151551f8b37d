// The rules by which Erlang terms become values: what a binary, an atom or a tuple is to Python.
#pragma once

#include "flat.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace ep {

// Atoms that mean something. Atoms are valid in every environment and never collected, so one table serves all.
struct ConversionAtoms {
    ERL_NIF_TERM true_, false_, none, nil, undefined, bytes, memoryview;

    explicit ConversionAtoms(ErlNifEnv *env)
        : true_(enif_make_atom(env, "true")),
          false_(enif_make_atom(env, "false")),
          none(enif_make_atom(env, "none")),
          nil(enif_make_atom(env, "nil")),
          undefined(enif_make_atom(env, "undefined")),
          bytes(enif_make_atom(env, "bytes")),
          memoryview(enif_make_atom(env, "memoryview")) {}
};

// How deep values may nest, in either direction. Bounded because both sides of a conversion recurse, on scheduler
// threads with small stacks too; cyclic Python containers end here as well.
inline constexpr uint32_t max_nesting = 512;

enum class Decoded : uint8_t { ok, too_deep, improper_list, over_budget };

// Walks terms and drives a sink with the interface of FlatWriter.
template <class Sink> class Decoder {
public:
    // `is_object` tells handles from other references. `budget` bounds how many terms are visited: on a scheduler
    // thread so many that it takes well under a millisecond.
    Decoder(ErlNifEnv *env, const ConversionAtoms &atoms, bool (*is_object)(ErlNifEnv *, ERL_NIF_TERM), Sink &sink,
            uint64_t budget = std::numeric_limits<uint64_t>::max())
        : env_(env), atoms_(atoms), is_object_(is_object), sink_(sink), budget_(budget) {}

    Decoded value(ERL_NIF_TERM term) { return value(term, 0); }
    uint64_t budget_left() const noexcept { return budget_; }

private:
    Decoded value(ERL_NIF_TERM term, uint32_t depth) {
        if (depth > max_nesting) {
            return Decoded::too_deep;
        }
        if (budget_ == 0) {
            return Decoded::over_budget;
        }
        --budget_;
        switch (enif_term_type(env_, term)) {
        case ERL_NIF_TERM_TYPE_ATOM: atom(term); return Decoded::ok;
        case ERL_NIF_TERM_TYPE_INTEGER: return integer(term);
        case ERL_NIF_TERM_TYPE_FLOAT: floating(term); return Decoded::ok;
        case ERL_NIF_TERM_TYPE_BITSTRING: return binary(term, EP_TAG_TEXT, EP_TAG_BIG_TEXT);
        case ERL_NIF_TERM_TYPE_LIST: return list(term, depth);
        case ERL_NIF_TERM_TYPE_TUPLE: return tuple(term, depth);
        case ERL_NIF_TERM_TYPE_MAP: return map(term, depth);
        case ERL_NIF_TERM_TYPE_PID: pid(term); return Decoded::ok;
        case ERL_NIF_TERM_TYPE_REFERENCE:
            sink_.term(is_object_(env_, term) ? EP_TAG_OBJECT : EP_TAG_REF, term);
            return Decoded::ok;
        default: return other(term);
        }
    }

    // Costs more than a small term does.
    void charge(size_t n) { budget_ -= n < budget_ ? n : budget_; }

    bool bounded() const noexcept { return budget_ < unlimited / 2; }
    Decoded give_up() noexcept {
        budget_ = 0;
        return Decoded::over_budget;
    }

    // A fun carries whatever it closed over, which is copied: not within a budget.
    Decoded other(ERL_NIF_TERM term) {
        if (bounded()) {
            return give_up();
        }
        sink_.term(EP_TAG_TERM, term);
        return Decoded::ok;
    }

    static constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();

    void atom(ERL_NIF_TERM term) {
        if (term == atoms_.true_) {
            sink_.tag(EP_TAG_TRUE);
        } else if (term == atoms_.false_) {
            sink_.tag(EP_TAG_FALSE);
        } else if (term == atoms_.none || term == atoms_.undefined || term == atoms_.nil) {
            sink_.tag(EP_TAG_NONE);
        } else {
            sink_.atom(term);
        }
    }

    Decoded integer(ERL_NIF_TERM term) {
        ErlNifSInt64 small = 0;
        if (enif_get_int64(env_, term, &small)) {
            sink_.integer(small);
            return Decoded::ok;
        }
        ErlNifUInt64 large = 0;
        if (enif_get_uint64(env_, term, &large)) {
            unsigned char bytes[8];
            for (size_t i = 0; i < sizeof bytes; ++i) {
                bytes[i] = static_cast<unsigned char>(large >> (8 * i));
            }
            sink_.big_integer(false, bytes, sizeof bytes);
            return Decoded::ok;
        }
        if (bounded()) { // its size is not known before it has been converted
            return give_up();
        }
        big_integer(term);
        return Decoded::ok;
    }

    // erl_nif has no access to big integers, so their external form is read: SMALL_BIG_EXT and LARGE_BIG_EXT of
    // "External Term Format" in the ERTS user's guide.
    void big_integer(ERL_NIF_TERM term) {
        constexpr unsigned char small_big = 110;
        ErlNifBinary external;
        if (!enif_term_to_binary(env_, term, &external)) {
            throw std::bad_alloc{};
        }
        const unsigned char *at = external.data + 2;
        size_t header = external.data[1] == small_big ? 2 : 5;
        sink_.big_integer(at[header - 1] != 0, at + header, external.size - 2 - header);
        charge(external.size / 64);
        enif_release_binary(&external);
    }

    void floating(ERL_NIF_TERM term) {
        double value = 0;
        enif_get_double(env_, term, &value);
        sink_.floating(value);
    }

    Decoded binary(ERL_NIF_TERM term, ep_tag small, ep_tag big) {
        ErlNifBinary binary;
        if (!enif_inspect_binary(env_, term, &binary)) {
            sink_.term(EP_TAG_TERM, term); // a bitstring of a size not divisible by eight
        } else if (binary.size <= max_inline_binary) {
            sink_.data(small, binary.data, binary.size);
            charge(binary.size / 32); // memory that is touched for the first time on both sides, most likely
        } else {
            sink_.term(big, term);
            charge(10);
        }
        return Decoded::ok;
    }

    void pid(ERL_NIF_TERM term) {
        ErlNifPid local;
        if (enif_get_local_pid(env_, term, &local)) {
            sink_.pid(local.pid);
        } else {
            sink_.term(EP_TAG_REMOTE_PID, term);
        }
    }

    // Lists of integers and of floats, the most common large ones, are guessed from their first element.
    Decoded list(ERL_NIF_TERM term, uint32_t depth) {
        ERL_NIF_TERM head;
        ERL_NIF_TERM tail;
        if (!enif_get_list_cell(env_, term, &head, &tail)) {
            sink_.begin(EP_TAG_LIST, 0);
            return Decoded::ok;
        }
        ErlNifSInt64 integer = 0;
        double floating = 0;
        size_t mark = 0;
        uint32_t n = 0;
        if (enif_get_int64(env_, head, &integer)) {
            mark = sink_.begin(EP_TAG_INTS);
            n = run(term, integer, enif_get_int64);
            finish_run(term, mark, n, EP_TAG_INT);
        } else if (enif_get_double(env_, head, &floating)) {
            mark = sink_.begin(EP_TAG_FLOATS);
            n = run(term, floating, enif_get_double);
            finish_run(term, mark, n, EP_TAG_FLOAT);
        } else {
            mark = sink_.begin(EP_TAG_LIST);
        }
        while (enif_get_list_cell(env_, term, &head, &tail)) {
            if (budget_ == 0) {
                return Decoded::over_budget;
            }
            if (Decoded result = value(head, depth + 1); result != Decoded::ok) {
                return result;
            }
            term = tail;
            ++n;
        }
        sink_.end(mark, n);
        return enif_is_empty_list(env_, term) ? Decoded::ok : Decoded::improper_list;
    }

    // Records elements of one kind, and moves `term` behind them.
    template <class Eight, class Get> uint32_t run(ERL_NIF_TERM &term, Eight value, Get get) {
        ERL_NIF_TERM head;
        ERL_NIF_TERM tail;
        uint32_t n = 0;
        while (budget_ != 0 && enif_get_list_cell(env_, term, &head, &tail) && get(env_, head, &value)) {
            sink_.element(value);
            term = tail;
            ++n;
            --budget_;
        }
        return n;
    }

    void finish_run(ERL_NIF_TERM rest, size_t mark, uint32_t n, ep_tag element) {
        if (!enif_is_empty_list(env_, rest)) {
            sink_.run_becomes_list(mark, n, element);
        }
    }

    Decoded tuple(ERL_NIF_TERM term, uint32_t depth) {
        int arity = 0;
        const ERL_NIF_TERM *elements = nullptr;
        enif_get_tuple(env_, term, &arity, &elements);
        if (arity == 2 && elements[0] == atoms_.bytes && enif_is_binary(env_, elements[1])) {
            return binary(elements[1], EP_TAG_BYTES, EP_TAG_BIG_BYTES);
        }
        if (arity == 2 && elements[0] == atoms_.memoryview && enif_is_binary(env_, elements[1])) {
            sink_.term(EP_TAG_VIEW, elements[1]);
            return Decoded::ok;
        }
        sink_.begin(EP_TAG_TUPLE, static_cast<uint32_t>(arity));
        for (int i = 0; i < arity; ++i) {
            if (Decoded result = value(elements[i], depth + 1); result != Decoded::ok) {
                return result;
            }
        }
        return Decoded::ok;
    }

    Decoded map(ERL_NIF_TERM term, uint32_t depth) {
        size_t size = 0;
        enif_get_map_size(env_, term, &size);
        sink_.begin(EP_TAG_MAP, static_cast<uint32_t>(size));
        ErlNifMapIterator pairs;
        if (!enif_map_iterator_create(env_, term, &pairs, ERL_NIF_MAP_ITERATOR_FIRST)) {
            throw std::bad_alloc{};
        }
        Decoded result = Decoded::ok;
        ERL_NIF_TERM key;
        ERL_NIF_TERM element;
        while (result == Decoded::ok && enif_map_iterator_get_pair(env_, &pairs, &key, &element)) {
            result = value(key, depth + 1);
            if (result == Decoded::ok) {
                result = value(element, depth + 1);
            }
            enif_map_iterator_next(env_, &pairs);
        }
        enif_map_iterator_destroy(env_, &pairs);
        return result;
    }

    ErlNifEnv *env_;
    const ConversionAtoms &atoms_;
    bool (*is_object_)(ErlNifEnv *, ERL_NIF_TERM);
    Sink &sink_;
    uint64_t budget_;
};

// The text of an atom, in UTF-8. enif_get_atom of OTP 25 knows Latin-1 only, so atoms take the way through their
// external form: (SMALL_)ATOM_UTF8_EXT, and (SMALL_)ATOM_EXT, which is Latin-1, where OTP still writes it.
inline std::string atom_text(ErlNifEnv *env, ERL_NIF_TERM atom) {
    constexpr unsigned char atom_latin1 = 100, small_atom_latin1 = 115, small_atom_utf8 = 119;
    ErlNifBinary external;
    if (!enif_term_to_binary(env, atom, &external)) {
        throw std::bad_alloc{};
    }
    const unsigned char tag = external.data[1];
    const size_t header = tag == small_atom_utf8 || tag == small_atom_latin1 ? 3 : 4;
    const bool latin1 = tag == atom_latin1 || tag == small_atom_latin1;
    std::string text;
    for (size_t i = header; i < external.size; ++i) {
        const unsigned char byte = external.data[i];
        if (latin1 && byte >= 0x80) {
            text.push_back(static_cast<char>(0xc0 | byte >> 6));
            text.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
        } else {
            text.push_back(static_cast<char>(byte));
        }
    }
    enif_release_binary(&external);
    return text;
}

// An atom of any text of up to 255 characters, by the way back. nullopt when the VM refuses it, or, with
// ERL_NIF_BIN2TERM_SAFE, when there is no such atom yet.
inline std::optional<ERL_NIF_TERM> make_atom(ErlNifEnv *env, std::string_view text, unsigned options = 0) {
    bool ascii = true;
    size_t characters = 0;
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        ascii = ascii && byte < 0x80;
        characters += (byte & 0xc0) != 0x80 ? 1 : 0;
    }
    if (characters > 255) {
        return std::nullopt;
    }
    if (ascii && options == 0) {
        return enif_make_atom_len(env, text.data(), text.size());
    }
    std::string external{"\x83v"};
    external.push_back(static_cast<char>(text.size() >> 8));
    external.push_back(static_cast<char>(text.size() & 0xff));
    external.append(text);
    ERL_NIF_TERM atom;
    if (enif_binary_to_term(env, reinterpret_cast<const unsigned char *>(external.data()), external.size(), &atom,
                            static_cast<ErlNifBinaryToTerm>(options)) == 0) {
        return std::nullopt;
    }
    return atom;
}

} // namespace ep
