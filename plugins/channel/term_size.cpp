#include "term_size.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace ep::channel {

namespace {

constexpr uint64_t version_byte = 1;
constexpr uint64_t unlimited = UINT64_MAX;

// How many bytes an atom takes beside its name: OTP 26 and newer write SMALL_ATOM_UTF8_EXT, older ones ATOM_EXT.
uint64_t atom_header(ErlNifEnv *env) {
    static const uint64_t header = [env] {
        ErlNifBinary external;
        if (!enif_term_to_binary(env, enif_make_atom(env, "a"), &external)) {
            return uint64_t{2};
        }
        const uint64_t size = external.size - version_byte - 1;
        enif_release_binary(&external);
        return size;
    }();
    return header;
}

class Measure {
public:
    Measure(ErlNifEnv *env, uint64_t budget) : env_(env), budget_(budget) {}

    TermSize run(ERL_NIF_TERM term) {
        size_.bytes = version_byte;
        one(term);
        while (!rest_.empty() && !size_.too_long) {
            ERL_NIF_TERM next = rest_.back();
            rest_.pop_back();
            one(next);
        }
        return size_;
    }

private:
    bool spend(uint64_t n = 1) {
        size_.visited += n;
        size_.too_long = size_.too_long || size_.visited > budget_;
        return !size_.too_long;
    }

    void one(ERL_NIF_TERM term) {
        if (!spend()) {
            return;
        }
        switch (enif_term_type(env_, term)) {
        case ERL_NIF_TERM_TYPE_INTEGER: integer(term); break;
        case ERL_NIF_TERM_TYPE_FLOAT: size_.bytes += 9; break;
        case ERL_NIF_TERM_TYPE_ATOM: atom(term); break;
        case ERL_NIF_TERM_TYPE_BITSTRING: binary(term); break;
        case ERL_NIF_TERM_TYPE_TUPLE: tuple(term); break;
        case ERL_NIF_TERM_TYPE_LIST: list(term); break;
        case ERL_NIF_TERM_TYPE_MAP: map(term); break;
        case ERL_NIF_TERM_TYPE_PID: pid(term); break;
        case ERL_NIF_TERM_TYPE_REFERENCE:
        case ERL_NIF_TERM_TYPE_PORT:
            size_.pins = true;
            encoded(term);
            break;
        default: size_.pins = true; unknown_cost(term);
        }
    }

    void integer(ERL_NIF_TERM term) {
        ErlNifSInt64 value = 0;
        if (!enif_get_int64(env_, term, &value)) {
            unknown_cost(term);
        } else if (value >= 0 && value < 256) {
            size_.bytes += 2; // SMALL_INTEGER_EXT
        } else if (value >= INT32_MIN && value <= INT32_MAX) {
            size_.bytes += 5; // INTEGER_EXT
        } else {              // SMALL_BIG_EXT
            uint64_t magnitude = value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
            for (size_.bytes += 3; magnitude != 0; magnitude >>= 8) {
                ++size_.bytes;
            }
        }
    }

    void atom(ERL_NIF_TERM term) {
        unsigned length = 0;
        // In Latin-1 a character above 127 is one byte, and two in UTF-8: such names are encoded.
        char name[256];
        if (!enif_get_atom(env_, term, name, sizeof name, ERL_NIF_LATIN1)) {
            encoded(term);
            return;
        }
        for (; name[length] != '\0'; ++length) {
            if ((name[length] & 0x80) != 0) {
                encoded(term);
                return;
            }
        }
        size_.bytes += atom_header(env_) + length;
    }

    void binary(ERL_NIF_TERM term) {
        ErlNifBinary binary;
        if (!enif_inspect_binary(env_, term, &binary)) {
            size_.pins = true;
            encoded(term); // a bitstring
        } else {
            size_.binaries = true;
            size_.bytes += 5 + binary.size;
        }
    }

    void tuple(ERL_NIF_TERM term) {
        int arity = 0;
        const ERL_NIF_TERM *elements = nullptr;
        enif_get_tuple(env_, term, &arity, &elements);
        size_.bytes += arity < 256 ? 2 : 5;
        if (spend(static_cast<uint64_t>(arity))) {
            rest_.insert(rest_.end(), elements, elements + arity);
        }
    }

    // STRING_EXT for a proper list of up to 65,535 bytes, else LIST_EXT.
    void list(ERL_NIF_TERM term) {
        ERL_NIF_TERM head;
        ERL_NIF_TERM tail = term;
        uint64_t n = 0;
        bool is_string = true;
        const size_t mark = rest_.size();
        while (enif_get_list_cell(env_, tail, &head, &tail)) {
            if (!spend()) {
                return;
            }
            ++n;
            unsigned value = 0;
            if (is_string && enif_get_uint(env_, head, &value) && value < 256) {
                rest_.push_back(head);
                continue;
            }
            is_string = false;
            rest_.push_back(head);
        }
        const bool proper = enif_is_empty_list(env_, tail) != 0;
        if (n == 0) {
            size_.bytes += 1; // NIL_EXT
        } else if (is_string && proper && n <= 65535) {
            size_.bytes += 3 + n;
            rest_.resize(mark);
        } else {
            size_.bytes += 5;
            rest_.push_back(tail);
        }
    }

    void map(ERL_NIF_TERM term) {
        size_t n = 0;
        enif_get_map_size(env_, term, &n);
        size_.bytes += 5;
        ErlNifMapIterator pairs;
        if (!spend(2 * n) || !enif_map_iterator_create(env_, term, &pairs, ERL_NIF_MAP_ITERATOR_FIRST)) {
            return;
        }
        ERL_NIF_TERM key;
        ERL_NIF_TERM value;
        while (enif_map_iterator_get_pair(env_, &pairs, &key, &value)) {
            rest_.push_back(key);
            rest_.push_back(value);
            enif_map_iterator_next(env_, &pairs);
        }
        enif_map_iterator_destroy(env_, &pairs);
    }

    void pid(ERL_NIF_TERM term) {
        ErlNifPid local;
        size_.pins = size_.pins || !enif_get_local_pid(env_, term, &local);
        encoded(term);
    }

    // A fun carries whatever it closed over, and an integer may have megabytes: not within a budget.
    void unknown_cost(ERL_NIF_TERM term) {
        if (spend(budget_ < unlimited / 2 ? budget_ : 0)) {
            encoded(term);
        }
    }

    // What has no simple form is encoded.
    void encoded(ERL_NIF_TERM term) {
        ErlNifBinary external;
        if (!spend(50) || !enif_term_to_binary(env_, term, &external)) {
            return;
        }
        size_.bytes += external.size - version_byte;
        spend(external.size / 64);
        enif_release_binary(&external);
    }

    ErlNifEnv *env_;
    const uint64_t budget_;
    TermSize size_;
    std::vector<ERL_NIF_TERM> rest_; // still to be looked at
};

} // namespace

TermSize measure(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t budget) {
    return Measure{env, budget}.run(term);
}

namespace {

// Schedulers have small stacks.
constexpr unsigned deepest = 50;
constexpr size_t largest_flat_map = 32; // MAP_SMALL_MAP_LIMIT of the VM

ERL_NIF_TERM copy_with_binaries(ErlNifEnv *to, ErlNifEnv *env, ERL_NIF_TERM term, unsigned depth);

// enif_make_map_from_arrays crashes on a thread that is no scheduler's: see TermBuilder in convert/terms.hpp. Insertion
// leaves garbage, which stays in an environment of its own.
ERL_NIF_TERM large_map(ErlNifEnv *to, ErlNifEnv *env, ERL_NIF_TERM term, unsigned depth) {
    const std::unique_ptr<ErlNifEnv, decltype(&enif_free_env)> scratch{enif_alloc_env(), enif_free_env};
    ERL_NIF_TERM map = enif_make_new_map(scratch.get());
    ErlNifMapIterator pairs;
    ERL_NIF_TERM key;
    ERL_NIF_TERM value;
    enif_map_iterator_create(env, term, &pairs, ERL_NIF_MAP_ITERATOR_FIRST);
    while (enif_map_iterator_get_pair(env, &pairs, &key, &value)) {
        key = copy_with_binaries(scratch.get(), env, key, depth);
        value = copy_with_binaries(scratch.get(), env, value, depth);
        enif_make_map_put(scratch.get(), map, key, value, &map);
        enif_map_iterator_next(env, &pairs);
    }
    enif_map_iterator_destroy(env, &pairs);
    return enif_make_copy(to, map);
}

ERL_NIF_TERM copy_with_binaries(ErlNifEnv *to, ErlNifEnv *env, ERL_NIF_TERM term, unsigned depth) {
    if (++depth > deepest) {
        return enif_make_copy(to, term);
    }
    switch (enif_term_type(env, term)) {
    case ERL_NIF_TERM_TYPE_ATOM: return term;
    case ERL_NIF_TERM_TYPE_BITSTRING: {
        ErlNifBinary binary;
        ERL_NIF_TERM copy;
        enif_inspect_binary(env, term, &binary);
        std::copy_n(binary.data, binary.size, enif_make_new_binary(to, binary.size, &copy));
        return copy;
    }
    case ERL_NIF_TERM_TYPE_TUPLE: {
        int arity = 0;
        const ERL_NIF_TERM *elements = nullptr;
        enif_get_tuple(env, term, &arity, &elements);
        constexpr int most = 16;
        ERL_NIF_TERM few[most];
        std::vector<ERL_NIF_TERM> many(arity > most ? static_cast<size_t>(arity) : 0);
        ERL_NIF_TERM *copies = arity > most ? many.data() : few;
        std::transform(elements, elements + arity, copies,
                       [=](ERL_NIF_TERM element) { return copy_with_binaries(to, env, element, depth); });
        return enif_make_tuple_from_array(to, copies, static_cast<unsigned>(arity));
    }
    case ERL_NIF_TERM_TYPE_LIST: {
        std::vector<ERL_NIF_TERM> copies;
        ERL_NIF_TERM head;
        while (enif_get_list_cell(env, term, &head, &term)) {
            copies.push_back(copy_with_binaries(to, env, head, depth));
        }
        ERL_NIF_TERM list = enif_is_empty_list(env, term) ? term : copy_with_binaries(to, env, term, depth);
        for (size_t i = copies.size(); i-- > 0;) {
            list = enif_make_list_cell(to, copies[i], list);
        }
        return list;
    }
    case ERL_NIF_TERM_TYPE_MAP: {
        size_t n = 0;
        enif_get_map_size(env, term, &n);
        if (n > largest_flat_map && enif_thread_type() == ERL_NIF_THR_UNDEFINED) {
            return large_map(to, env, term, depth);
        }
        std::vector<ERL_NIF_TERM> keys;
        std::vector<ERL_NIF_TERM> values;
        ErlNifMapIterator pairs;
        ERL_NIF_TERM key;
        ERL_NIF_TERM value;
        ERL_NIF_TERM map = 0;
        enif_map_iterator_create(env, term, &pairs, ERL_NIF_MAP_ITERATOR_FIRST);
        while (enif_map_iterator_get_pair(env, &pairs, &key, &value)) {
            keys.push_back(copy_with_binaries(to, env, key, depth));
            values.push_back(copy_with_binaries(to, env, value, depth));
            enif_map_iterator_next(env, &pairs);
        }
        enif_map_iterator_destroy(env, &pairs);
        enif_make_map_from_arrays(to, keys.data(), values.data(), keys.size(), &map);
        return map;
    }
    default: return enif_make_copy(to, term);
    }
}

} // namespace

ERL_NIF_TERM copy_with_binaries(ErlNifEnv *to, ErlNifEnv *env, ERL_NIF_TERM term) {
    return copy_with_binaries(to, env, term, 0);
}

} // namespace ep::channel
