// What a conversion costs the process and what it costs the thread that holds the GIL, for three ways to do it. See
// docs/decisions/flat-values.md. A NIF library: flat_values.erl runs it.
#include <erlang_python/convert/decode.hpp>
#include <erlang_python/convert/terms.hpp>

#include <chrono>
#include <cstdint>
#include <erl_nif.h>

namespace {

using namespace ep;
using Clock = std::chrono::steady_clock;

bool is_object(ErlNifEnv *, ERL_NIF_TERM) {
    return false;
}

// A sink and a builder that make nothing: what is left is the walk itself. Making the objects costs the same whatever
// the way.
struct NoSink {
    uint64_t seen = 0;

    void tag(ep_tag) { ++seen; }
    void integer(int64_t value) { seen += static_cast<uint64_t>(value); }
    void floating(double value) { seen += value > 0 ? 1 : 0; }
    void atom(ERL_NIF_TERM) { ++seen; }
    void pid(ERL_NIF_TERM) { ++seen; }
    void data(ep_tag, const unsigned char *data, size_t size) { seen += size > 0 ? data[0] : 0; }
    void big_integer(bool, const unsigned char *, size_t size) { seen += size; }
    void term(ep_tag, ERL_NIF_TERM) { ++seen; }
    void begin(ep_tag, uint32_t n) { seen += n; }
    size_t begin(ep_tag) { return ++seen; }
    void end(size_t, uint32_t n) { seen += n; }
    template <class Eight> void element(Eight) { ++seen; }
    void run_becomes_list(size_t, uint32_t n, ep_tag) { seen += n; }
};

struct NoBuilder {
    using Value = uint64_t;
    struct List {};
    struct Tuple {};
    struct Map {};
    uint64_t seen = 0;

    Value none() { return ++seen; }
    Value boolean(bool value) { return seen += value ? 1 : 0; }
    Value integer(int64_t value) { return seen += static_cast<uint64_t>(value); }
    Value big_integer(bool, ep_slice magnitude) { return seen += magnitude.size; }
    Value floating(double value) { return seen += value > 0 ? 1 : 0; }
    Value text(ep_slice data) { return seen += data.size > 0 ? data.data[0] : 0; }
    Value bytes(ep_slice data) { return text(data); }
    Value atom(ERL_NIF_TERM) { return ++seen; }
    Value pid(ERL_NIF_TERM) { return ++seen; }
    Value view(ErlNifEnv *, ERL_NIF_TERM) { return ++seen; }
    Value big_text(ErlNifEnv *, ERL_NIF_TERM) { return ++seen; }
    Value big_bytes(ErlNifEnv *, ERL_NIF_TERM) { return ++seen; }
    Value object(ErlNifEnv *, ERL_NIF_TERM) { return ++seen; }
    Value opaque(ep_tag, ErlNifEnv *, ERL_NIF_TERM) { return ++seen; }
    List list(uint32_t) { return {}; }
    Tuple tuple(uint32_t) { return {}; }
    Map map(uint32_t) { return {}; }
    void set(List, uint32_t, Value) {}
    void set(Tuple, uint32_t, Value) {}
    void insert(Map, Value, Value) {}
    Value finish(List) { return seen; }
    Value finish(Tuple) { return seen; }
    Value finish(Map) { return seen; }
};

struct Work {
    ErlNifEnv *caller;
    ERL_NIF_TERM term;
    ConversionAtoms atoms;
    int rounds;
    ErlNifEnv *env = enif_alloc_env();
    ERL_NIF_TERM copy = 0;
    FlatWriter flat{};
    FlatWriter kept{};
    volatile uint64_t seen = 0;
    // Nanoseconds of one round, as the functions below fill them in.
    double copies = 0, walks = 0, records = 0, replays = 0, builds_here = 0, builds_there = 0, keeps = 0;
};

template <class Body> double time(const Work &work, Body body) {
    const auto begin = Clock::now();
    for (int i = 0; i < work.rounds; ++i) {
        body();
    }
    return std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / work.rounds;
}

void build(Work &work, ErlNifEnv *env) {
    FlatReader reader{work.flat.view()};
    TermBuilder builder{env, work.atoms};
    work.seen = work.seen + replay(reader, builder);
}

// What the calling process does, on a scheduler.
void as_process(Work &work) {
    work.copies = time(work, [&] {
        enif_clear_env(work.env);
        work.copy = enif_make_copy(work.env, work.term);
    });
    work.records = time(work, [&] {
        work.flat.clear();
        Decoder{work.caller, work.atoms, is_object, work.flat}.value(work.term);
    });
    // Every round fills the heap of the process; a few are enough to know.
    work.builds_here = time(work, [&] { build(work, work.caller); });
}

// What the context's thread does, with the GIL; it is no scheduler.
void *as_context_thread(void *argument) {
    Work &work = *static_cast<Work *>(argument);
    work.walks = time(work, [&] {
        NoSink sink;
        Decoder{work.env, work.atoms, is_object, sink}.value(work.copy);
        work.seen = work.seen + sink.seen;
    });
    work.replays = time(work, [&] {
        FlatReader reader{work.flat.view()};
        NoBuilder builder;
        work.seen = work.seen + replay(reader, builder);
    });
    ErlNifEnv *message = enif_alloc_env();
    work.builds_there = time(work, [&] {
        enif_clear_env(message);
        build(work, message);
    });
    enif_free_env(message);
    work.kept.use_env(work.env);
    work.keeps = time(work, [&] {
        work.kept.clear();
        work.kept.assign(work.flat.view());
    });
    return nullptr;
}

// Term, Rounds -> {Bytes, [{Name, Nanoseconds}]}
ERL_NIF_TERM measure(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    int rounds = 0;
    if (!enif_get_int(env, argv[1], &rounds)) {
        return enif_make_badarg(env);
    }
    auto *work = new Work{env, argv[0], ConversionAtoms{env}, rounds};
    work->flat.use_env(work->env);
    as_process(*work);
    ErlNifTid thread;
    char name[] = "flat_values";
    enif_thread_create(name, &thread, as_context_thread, work, nullptr);
    enif_thread_join(thread, nullptr);
    const std::pair<const char *, double> results[] = {
        {"copies", work->copies},
        {"walks", work->walks},
        {"records", work->records},
        {"replays", work->replays},
        {"keeps", work->keeps},
        {"builds_here", work->builds_here},
        {"builds_there", work->builds_there},
    };
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (const auto &[key, value] : results) {
        list = enif_make_list_cell(env, enif_make_tuple2(env, enif_make_atom(env, key), enif_make_double(env, value)),
                                   list);
    }
    ERL_NIF_TERM bytes = enif_make_uint64(env, work->flat.size());
    enif_free_env(work->env);
    delete work;
    return enif_make_tuple2(env, bytes, list);
}

ErlNifFunc functions[] = {{"measure", 2, measure, ERL_NIF_DIRTY_JOB_CPU_BOUND}};

} // namespace

ERL_NIF_INIT(flat_values, functions, nullptr, nullptr, nullptr, nullptr)
