// Whatever the VM takes for a term in the external format can be converted, and comes back as the rules say; a channel
// knows its size without encoding it, and copies it.
#include "conversion.hpp"
#include "term_size.hpp"
#include "value.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>
#include <semaphore>
#include <thread>
#include <vector>

namespace {

// Where it was seen last, for the report of a failure.
ERL_NIF_TERM original = 0;

void require(bool holds, const char *what) {
    if (!holds) {
        std::fprintf(stderr, "it does not hold that %s\n", what);
        enif_fprintf(stderr, "the term: %.2000T\n", original);
        std::abort();
    }
}

class Env {
public:
    Env() : env_(enif_alloc_env()) {}
    ~Env() { enif_free_env(env_); }
    Env(const Env &) = delete;
    Env &operator=(const Env &) = delete;
    operator ErlNifEnv *() const { return env_; }

private:
    ErlNifEnv *env_;
};

class External {
public:
    External(ErlNifEnv *env, ERL_NIF_TERM term) {
        if (!enif_term_to_binary(env, term, &bytes_)) {
            throw std::bad_alloc{};
        }
    }
    ~External() { enif_release_binary(&bytes_); }
    External(const External &) = delete;
    External &operator=(const External &) = delete;

    size_t size() const { return bytes_.size; }
    bool operator==(const External &other) const {
        return size() == other.size() && std::equal(bytes_.data, bytes_.data + size(), other.bytes_.data);
    }

private:
    ErlNifBinary bytes_;
};

// The bytes tell more than "identical" does: which zero it is, on OTP older than 27.
void require_same(ErlNifEnv *env, ERL_NIF_TERM one, ErlNifEnv *other_env, ERL_NIF_TERM other, const char *what) {
    require(enif_is_identical(one, other) != 0, what);
    require(External{env, one} == External{other_env, other}, what);
}

// The rules once more, written for terms that become terms: docs/types.md.
class Rules {
public:
    Rules(ErlNifEnv *env, ErlNifEnv *to) : env_(env), to_(to) {}

    bool too_deep = false;
    bool improper = false;
    bool same_key = false;
    bool at_limit = false; // an empty container lies as deep as anything may
    bool refused() const { return too_deep || improper; }

    ERL_NIF_TERM apply(ERL_NIF_TERM term, uint32_t depth = 0) {
        if (depth > ep::max_nesting) {
            too_deep = true;
            return term;
        }
        at_limit = at_limit || (depth == ep::max_nesting && is_empty(term));
        switch (enif_term_type(env_, term)) {
        case ERL_NIF_TERM_TYPE_ATOM: return term == atoms().nil || term == atoms().undefined ? atoms().none : term;
        case ERL_NIF_TERM_TYPE_LIST: return list(term, depth);
        case ERL_NIF_TERM_TYPE_TUPLE: return tuple(term, depth);
        case ERL_NIF_TERM_TYPE_MAP: return map(term, depth);
        default: return enif_make_copy(to_, term);
        }
    }

private:
    bool is_empty(ERL_NIF_TERM term) const {
        int arity = 0;
        size_t size = 0;
        const ERL_NIF_TERM *elements = nullptr;
        return enif_is_empty_list(env_, term) || (enif_get_tuple(env_, term, &arity, &elements) && arity == 0) ||
               (enif_get_map_size(env_, term, &size) && size == 0);
    }

    ERL_NIF_TERM list(ERL_NIF_TERM term, uint32_t depth) {
        std::vector<ERL_NIF_TERM> all;
        ERL_NIF_TERM head;
        while (enif_get_list_cell(env_, term, &head, &term)) {
            all.push_back(apply(head, depth + 1));
        }
        improper = improper || !enif_is_empty_list(env_, term);
        return enif_make_list_from_array(to_, all.data(), static_cast<unsigned>(all.size()));
    }

    ERL_NIF_TERM tuple(ERL_NIF_TERM term, uint32_t depth) {
        int arity = 0;
        const ERL_NIF_TERM *elements = nullptr;
        enif_get_tuple(env_, term, &arity, &elements);
        if (arity == 2 && (elements[0] == atoms().bytes || elements[0] == atoms().memoryview) &&
            enif_is_binary(env_, elements[1])) {
            return enif_make_copy(to_, elements[1]);
        }
        std::vector<ERL_NIF_TERM> all;
        for (int i = 0; i < arity; ++i) {
            all.push_back(apply(elements[i], depth + 1));
        }
        return enif_make_tuple_from_array(to_, all.data(), static_cast<unsigned>(all.size()));
    }

    // One by one, which works on every thread.
    ERL_NIF_TERM map(ERL_NIF_TERM term, uint32_t depth) {
        ERL_NIF_TERM result = enif_make_new_map(to_);
        ErlNifMapIterator pairs;
        enif_map_iterator_create(env_, term, &pairs, ERL_NIF_MAP_ITERATOR_FIRST);
        ERL_NIF_TERM key, value, there;
        while (enif_map_iterator_get_pair(env_, &pairs, &key, &value)) {
            key = apply(key, depth + 1);
            value = apply(value, depth + 1);
            same_key = same_key || enif_get_map_value(to_, result, key, &there);
            enif_make_map_put(to_, result, key, value, &result);
            enif_map_iterator_next(env_, &pairs);
        }
        enif_map_iterator_destroy(env_, &pairs);
        return result;
    }

    ErlNifEnv *env_;
    ErlNifEnv *to_;
};

// For replay(): flat values become those of the language of value.hpp.
struct ValueBuilder {
    using Value = Shared;
    using List = Shared;
    using Tuple = Shared;
    using Map = Shared;

    ErlNifEnv *env; // of the terms among them

    Value none() { return simple(ep::Shape::none); }
    Value boolean(bool value) { return simple(value ? ep::Shape::true_ : ep::Shape::false_); }
    Value integer(int64_t value) { return ::integer(value); }
    Value big_integer(bool negative, ep_slice magnitude) { return ::big_integer(negative, string(magnitude)); }
    Value floating(double value) { return ::floating(value); }
    Value text(ep_slice data) { return ::text(string(data)); }
    Value bytes(ep_slice data) { return ::text(string(data), ep::Shape::bytes); }
    Value atom(ERL_NIF_TERM atom) { return ::term(atom); }
    Value pid(ERL_NIF_TERM pid) { return ::term(pid); }
    Value view(ErlNifEnv *, ERL_NIF_TERM term) { return copy(term); }
    Value big_text(ErlNifEnv *, ERL_NIF_TERM term) { return copy(term); }
    Value big_bytes(ErlNifEnv *, ERL_NIF_TERM term) { return copy(term); }
    Value object(ErlNifEnv *, ERL_NIF_TERM term) { return copy(term); }
    Value opaque(ep_tag, ErlNifEnv *, ERL_NIF_TERM term) { return copy(term); }
    // Of a list and of a tuple.
    Shared list(uint32_t n) { return container(ep::Shape::list, std::vector<Shared>(n)); }
    Shared tuple(uint32_t n) { return container(ep::Shape::tuple, std::vector<Shared>(n)); }
    void set(const Shared &of, uint32_t i, Value value) { of->items[i] = std::move(value); }
    Map map(uint32_t) { return container(ep::Shape::map, {}); }
    void insert(Map &map, Value key, Value value) {
        map->items.push_back(std::move(key));
        map->items.push_back(std::move(value));
    }
    Value finish(Shared all) { return all; }

private:
    static std::string string(ep_slice data) {
        return data.size == 0 ? "" : std::string{reinterpret_cast<const char *>(data.data), data.size};
    }
    Value copy(ERL_NIF_TERM term) { return ::term(enif_make_copy(env, term)); }
};

// As converting a call's arguments and its result does it; nullopt: two keys became one.
std::optional<ERL_NIF_TERM> back(ErlNifEnv *to, const ep_flat &flat) {
    try {
        return built(to, flat);
    } catch (const ep::SameKey &) {
        return std::nullopt;
    }
}

// To another language's values and from there to a term.
std::optional<ERL_NIF_TERM> back_through_values(ErlNifEnv *to, const ep_flat &flat) {
    Env values_env, flat_env;
    ValueBuilder builder{values_env};
    ep::FlatReader reader{flat};
    const Shared value = ep::replay(reader, builder);
    require(reader.at_end(), "one value is recorded as one");
    ep::FlatWriter again;
    again.use_env(flat_env);
    ValueSource source;
    ep::Encoder<ValueSource, ep::FlatWriter>{source, again}.value(value.get());
    return back(to, again.view());
}

void check_conversion(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t few) {
    Env expected_env;
    Rules rules{env, expected_env};
    const ERL_NIF_TERM expected = rules.apply(term);
    const Recorded recorded{env, term};
    switch (recorded.result()) {
    case ep::Decoded::ok: require(!rules.refused(), "what has no form is refused"); break;
    case ep::Decoded::too_deep: require(rules.too_deep, "what is refused is too deep"); break;
    case ep::Decoded::improper_list: require(rules.improper, "what is refused has an improper list"); break;
    case ep::Decoded::over_budget: require(false, "there is no end to no budget");
    }
    const Recorded bounded{env, term, few};
    require(bounded.result() == recorded.result() || bounded.result() == ep::Decoded::over_budget,
            "a budget changes nothing but whether it is enough");
    if (rules.refused()) {
        return;
    }
    Env to, to_bounded, to_values;
    const auto same = [&](std::optional<ERL_NIF_TERM> result, ErlNifEnv *result_env, const char *what) {
        require(result.has_value() != rules.same_key, "keys that are the same are noticed");
        if (result) {
            require_same(expected_env, expected, result_env, *result, what);
        }
    };
    same(back(to, recorded.flat()), to, "it comes back as the rules say");
    // The encoder counts containers, the decoder what is in them: an empty one may be one level deeper on the way here.
    try {
        same(back_through_values(to_values, recorded.flat()), to_values, "it comes back from values as the rules say");
        require(!rules.at_limit, "what is too deep for the way back is refused");
    } catch (const ValueSource::TooDeep &) {
        require(rules.at_limit, "what is refused on the way back is too deep");
    }
    if (bounded.result() == ep::Decoded::ok) {
        same(back(to_bounded, bounded.flat()), to_bounded, "it comes back within a budget");
    }
}

void check_channel(ErlNifEnv *env, ERL_NIF_TERM term, uint64_t few) {
    const External external{env, term};
    const ep::channel::TermSize size = ep::channel::measure(env, term, UINT64_MAX);
    require(!size.too_long, "there is no end to no budget");
    require(size.bytes == external.size(), "its size is known without encoding it");
    const ep::channel::TermSize bounded = ep::channel::measure(env, term, few);
    require(bounded.too_long || bounded.bytes == size.bytes, "a budget changes nothing but whether it is enough");
    if (!size.pins) { // as a channel does it
        Env to;
        require_same(env, term, to, ep::channel::copy_with_binaries(to, env, term), "a copy is the same");
    }
}

// One that the VM knows nothing of, as those of contexts are; some of erl_nif behaves differently there.
class ForeignThread {
public:
    ForeignThread() : thread_([this] { run(); }) {}

    void call(const std::function<void()> &function) {
        function_ = &function;
        begun_.release();
        done_.acquire();
    }

private:
    [[noreturn]] void run() {
        for (;;) {
            begun_.acquire();
            (*function_)();
            done_.release();
        }
    }

    const std::function<void()> *function_ = nullptr; // the caller's, between begun_ and done_
    std::binary_semaphore begun_{0};
    std::binary_semaphore done_{0};
    std::thread thread_;
};

// A compressed term says how large it will be, and the VM believes it.
bool may_be_huge(const uint8_t *data, size_t size) {
    constexpr uint8_t compressed = 80;
    return size >= 6 && data[1] == compressed && (data[2] != 0 || data[3] >= 16); // a megabyte
}

// A reference of no words. OTP 25 disagrees with itself about where it ends, writes past its heap, and aborts, also in
// erlang:binary_to_term/2. Looked for among all bytes, since it may be nested.
bool may_end_the_vm(const uint8_t *data, size_t size) {
    for (size_t i = 1; i + 2 < size; ++i) {
        constexpr uint8_t newer_reference = 90, new_reference = 114;
        if ((data[i] == newer_reference || data[i] == new_reference) && data[i + 1] == 0 && data[i + 2] == 0) {
            return true;
        }
    }
    return false;
}

} // namespace

// Terms are decoded on a scheduler: enif_binary_to_term makes large maps as enif_make_map_from_arrays does, and crashes
// elsewhere, seen on OTP 25. No new atoms: there is room for a million of them; fuzz_terms.erl has some to be found.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static auto *thread = new ForeignThread; // until the VM exits
    Env env;
    ERL_NIF_TERM term;
    const std::vector<uint8_t> copy{data, data + size}; // the VM mends the commas of floats where they are
    if (may_be_huge(data, size) || may_end_the_vm(data, size) ||
        enif_binary_to_term(env, copy.data(), size, &term, ERL_NIF_BIN2TERM_SAFE) == 0) {
        return 0;
    }
    original = term;
    const auto check = [&] {
        check_conversion(env, term, size / 2);
        check_channel(env, term, size / 2);
    };
    check();
    thread->call(check);
    return 0;
}
