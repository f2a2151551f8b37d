// Flat values are used again and copied.
#include "conversion.hpp"
#include "terms.hpp"

#include "catch.hpp"

namespace {

// Records a term in `flat`, whose environment is set.
void record(ep::FlatWriter &flat, const Terms &terms, ERL_NIF_TERM term) {
    REQUIRE(ep::Decoder<ep::FlatWriter>{terms.env(), atoms(), is_object, flat}.value(term) == ep::Decoded::ok);
}

} // namespace

TEST_CASE("several values lie in a row, each where the one before ends") {
    Terms t;
    ep::FlatWriter flat;
    flat.use_env(t.env());
    const std::vector<ERL_NIF_TERM> values{t.list({t.integer(1), t.ref()}), t.atom("true"), t.binary("x"), t.ref(),
                                           t.map({{t.ref(), t.floating(1)}})};
    for (ERL_NIF_TERM value : values) {
        record(flat, t, value);
    }
    CHECK(flat.view().term_count == 3);
    ep::FlatReader reader{flat.view()};
    for (ERL_NIF_TERM value : values) {
        REQUIRE_FALSE(reader.at_end());
        ep::TermBuilder builder{t.env(), atoms()};
        CHECK(enif_is_identical(ep::replay(reader, builder), value));
    }
    CHECK(reader.at_end());
}

TEST_CASE("what was cleared can be used again") {
    Terms t;
    ep::FlatWriter flat;
    flat.use_env(t.env());
    for (int size : {10, 100000, 10}) {
        for (bool all : {false, true}) {
            const ERL_NIF_TERM term = t.list(std::vector<ERL_NIF_TERM>(static_cast<size_t>(size), t.ref()));
            record(flat, t, term);
            CHECK(enif_is_identical(built(t.env(), flat.view()), term));
            all ? flat.clear(0) : flat.clear();
            CHECK(flat.size() == 0);
            CHECK(flat.view().term_count == 0);
        }
    }
}

TEST_CASE("a copy of a flat value needs nothing of the original") {
    Terms copied;
    ep::FlatWriter copy;
    copy.use_env(copied.env());
    std::string before;
    for (int round = 0; round < 3; ++round) { // what was there before is replaced
        {
            Terms t, flat_terms;
            ep::FlatWriter flat;
            flat.use_env(flat_terms.env());
            const ERL_NIF_TERM term =
                t.list({t.binary(std::string(1000, 'x')), t.ref(other_node, 1), t.integer(round)});
            record(flat, t, term);
            before = printed(term);
            copy.assign(flat.view());
        }
        Terms back;
        CHECK(printed(built(back.env(), copy.view())) == before);
    }
    copy.assign({});
    CHECK(copy.size() == 0);
}
