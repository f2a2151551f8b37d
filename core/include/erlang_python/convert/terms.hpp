// Flat values into Erlang terms.
#pragma once

#include "decode.hpp"
#include "replay.hpp"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

namespace ep {

// Thrown when two keys of a map are the same term.
struct SameKey {};
// Thrown when the VM has no form for a value.
struct NoForm {
    const char *why;
};

// A builder for replay().
class TermBuilder {
public:
    using Value = ERL_NIF_TERM;
    // Places on the stack of terms that are being collected.
    struct List {
        size_t base;
    };
    struct Tuple {
        size_t base;
    };
    struct Map {
        size_t base;
        uint32_t room;
        uint32_t n;
    };

    TermBuilder(ErlNifEnv *env, const ConversionAtoms &atoms) : env_(env), atoms_(atoms) {}

    Value none() { return atoms_.none; }
    Value boolean(bool value) { return value ? atoms_.true_ : atoms_.false_; }
    Value integer(int64_t value) { return enif_make_int64(env_, value); }
    Value floating(double value) {
        if (std::isfinite(value)) {
            return enif_make_double(env_, value);
        }
        return enif_make_atom(env_, std::isnan(value) ? "nan" : value > 0 ? "infinity" : "neg_infinity");
    }
    Value text(ep_slice data) { return bytes(data); }
    Value bytes(ep_slice data) {
        ERL_NIF_TERM term;
        copy_bytes(enif_make_new_binary(env_, data.size, &term), data.data, data.size);
        return term;
    }
    Value atom(ERL_NIF_TERM atom) { return atom; }
    Value pid(ERL_NIF_TERM pid) { return pid; }
    Value view(ErlNifEnv *, ERL_NIF_TERM term) { return enif_make_copy(env_, term); }
    Value big_text(ErlNifEnv *, ERL_NIF_TERM term) { return enif_make_copy(env_, term); }
    Value big_bytes(ErlNifEnv *, ERL_NIF_TERM term) { return enif_make_copy(env_, term); }
    Value object(ErlNifEnv *, ERL_NIF_TERM term) { return enif_make_copy(env_, term); }
    Value opaque(ep_tag, ErlNifEnv *, ERL_NIF_TERM term) { return enif_make_copy(env_, term); }

    Value big_integer(bool negative, ep_slice magnitude) {
        if (!negative && magnitude.size <= 8) {
            uint64_t value = 0;
            for (size_t i = magnitude.size; i-- > 0;) {
                value = value << 8 | magnitude.data[i];
            }
            return enif_make_uint64(env_, value);
        }
        // LARGE_BIG_EXT: erl_nif has no other way to make one.
        std::vector<unsigned char> external{131, 111};
        for (int shift = 24; shift >= 0; shift -= 8) {
            external.push_back(static_cast<unsigned char>(magnitude.size >> shift));
        }
        external.push_back(negative ? 1 : 0);
        external.insert(external.end(), magnitude.data, magnitude.data + magnitude.size);
        ERL_NIF_TERM term;
        if (enif_binary_to_term(env_, external.data(), external.size(), &term, 0) == 0) {
            throw NoForm{"the int is larger than Erlang's integers can be"};
        }
        return term;
    }

    List list(uint32_t n) { return {push(n)}; }
    void set(const List &list, uint32_t i, Value value) { terms_[list.base + i] = value; }
    Value finish(const List &list) {
        return pop(list.base, enif_make_list_from_array(env_, at(list.base), count_from(list.base)));
    }
    Tuple tuple(uint32_t n) {
        if (n > widest_tuple) {
            throw NoForm{
                "the tuple has more than 16,777,215 elements, the most that Erlang's can have; make it a list"};
        }
        return {push(n)};
    }
    void set(const Tuple &tuple, uint32_t i, Value value) { terms_[tuple.base + i] = value; }
    Value finish(const Tuple &tuple) {
        return pop(tuple.base, enif_make_tuple_from_array(env_, at(tuple.base), count_from(tuple.base)));
    }
    Map map(uint32_t n) { return {push(size_t{2} * n), n, 0}; }
    void insert(Map &map, Value key, Value value) {
        terms_[map.base + map.n] = key;
        terms_[map.base + map.room + map.n] = value;
        ++map.n;
    }
    Value finish(const Map &map) {
        ERL_NIF_TERM result = 0;
        if (map.n <= largest_flat_map || enif_thread_type() != ERL_NIF_THR_UNDEFINED) {
            // It tells about equal keys in small maps only; in larger ones it keeps one of the values.
            size_t size = 0;
            if (!enif_make_map_from_arrays(env_, at(map.base), at(map.base + map.room), map.n, &result) ||
                !enif_get_map_size(env_, result, &size) || size != map.n) {
                throw SameKey{};
            }
        } else {
            result = large_map(map);
        }
        return pop(map.base, result);
    }

private:
    static constexpr uint32_t widest_tuple = (1u << 24) - 1; // "System Limits" in the Efficiency Guide
    static constexpr uint32_t largest_flat_map = 32;         // MAP_SMALL_MAP_LIMIT of the VM

    // enif_make_map_from_arrays sorts larger maps with random pivots from the scheduler's data (erts_qsort), and
    // crashes on a thread that is none: seen on OTP 25. So they are made by insertion there, in an environment of their
    // own that leaves the garbage behind; it is copied out whenever that garbage outweighs the map.
    ERL_NIF_TERM large_map(const Map &map) {
        ErlNifEnv *scratch = enif_alloc_env();
        ERL_NIF_TERM result = enif_make_new_map(scratch);
        uint32_t until_copy = 4096;
        for (uint32_t i = 0; i < map.n; ++i) {
            ERL_NIF_TERM key = enif_make_copy(scratch, terms_[map.base + i]);
            ERL_NIF_TERM value = enif_make_copy(scratch, terms_[map.base + map.room + i]);
            enif_make_map_put(scratch, result, key, value, &result);
            if (--until_copy == 0) {
                ErlNifEnv *fresh = enif_alloc_env();
                result = enif_make_copy(fresh, result);
                enif_free_env(scratch);
                scratch = fresh;
                until_copy = i; // as many again
            }
        }
        size_t size = 0;
        enif_get_map_size(scratch, result, &size);
        ERL_NIF_TERM copy = enif_make_copy(env_, result);
        enif_free_env(scratch);
        if (size != map.n) {
            throw SameKey{};
        }
        return copy;
    }

    size_t push(size_t n) {
        size_t base = terms_.size();
        terms_.resize(base + n);
        return base;
    }
    ERL_NIF_TERM *at(size_t place) noexcept { return terms_.data() + place; }
    unsigned count_from(size_t base) const noexcept { return static_cast<unsigned>(terms_.size() - base); }
    ERL_NIF_TERM pop(size_t base, ERL_NIF_TERM result) noexcept {
        terms_.resize(base);
        return result;
    }

    ErlNifEnv *env_;
    const ConversionAtoms &atoms_;
    std::vector<ERL_NIF_TERM> terms_;
};

} // namespace ep
