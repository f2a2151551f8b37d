// Values of another language become terms.
#include "conversion.hpp"
#include "terms.hpp"
#include "value.hpp"

#include "catch.hpp"

using ep::Shape;

namespace {

// The term a value becomes, and the tag it was recorded under.
struct Encoded {
    ERL_NIF_TERM term = 0;
    ep_tag tag{};
};

Encoded encode(const Terms &to, const Shared &value, ValueSource source = {}) {
    Terms flat_terms;
    ep::FlatWriter flat;
    flat.use_env(flat_terms.env());
    ep::Encoder<ValueSource, ep::FlatWriter>{source, flat}.value(value.get());
    return {built(to.env(), flat.view()), ep::FlatReader{flat.view()}.peek()};
}

void check(const Terms &t, const Shared &value, ERL_NIF_TERM expected) {
    const ERL_NIF_TERM term = encode(t, value).term;
    INFO(printed(term) << " should be " << printed(expected));
    CHECK(enif_is_identical(term, expected));
}

Shared nested(Shape shape, int levels) {
    Shared value = integer(1);
    for (int i = 0; i < levels; ++i) {
        value = shape == Shape::map && i % 2 == 0 ? container(shape, {value, integer(1)})
                : shape == Shape::map             ? container(shape, {integer(1), value})
                                                  : container(shape, {value});
    }
    return value;
}

} // namespace

TEST_CASE("every shape of value has a term") {
    Terms t;
    const ERL_NIF_TERM ref = t.ref();
    check(t, simple(Shape::none), t.atom("none"));
    check(t, simple(Shape::true_), t.atom("true"));
    check(t, simple(Shape::false_), t.atom("false"));
    check(t, integer(INT64_MIN), t.integer(INT64_MIN));
    check(t, big_integer(true, std::string(9, '\1')), t.integer(true, std::string(9, '\1')));
    check(t, big_integer(false, std::string(8, '\xff')), t.integer(false, std::string(8, '\xff')));
    check(t, floating(2.5), t.floating(2.5));
    check(t, text("text"), t.binary("text"));
    check(t, text("", Shape::bytes), t.binary(""));
    check(t, term(ref), ref);
    check(t, list({}), t.list({}));
    check(t, list({text("x"), list({simple(Shape::none)})}), t.list({t.binary("x"), t.list({t.atom("none")})}));
    check(t, container(Shape::tuple, {}), t.tuple({}));
    check(t, container(Shape::tuple, {integer(1), text("x")}), t.tuple({t.integer(1), t.binary("x")}));
    check(t, container(Shape::sequence, {}), t.list({}));
    check(t, container(Shape::sequence, {integer(1), floating(1)}), t.list({t.integer(1), t.floating(1)}));
    check(t, container(Shape::map, {}), t.map({}));
    check(t, container(Shape::map, {text("k"), list({integer(1)}), integer(2), container(Shape::map, {})}),
          t.map({{t.binary("k"), t.list({t.integer(1)})}, {t.integer(2), t.map({})}}));
}

TEST_CASE("texts and bytes of any length") {
    Terms t;
    for (size_t size : {size_t{1}, ep::max_inline_binary, ep::max_inline_binary + 1, size_t{100000}}) {
        const std::string bytes(size, 'x');
        check(t, text(bytes), t.binary(bytes));
        check(t, list({text(bytes, Shape::bytes), text(bytes)}), t.list({t.binary(bytes), t.binary(bytes)}));
    }
}

TEST_CASE("lists of numbers are runs, booleans are no numbers") {
    Terms t;
    CHECK(encode(t, list({integer(1), integer(2)})).tag == EP_TAG_INTS);
    CHECK(encode(t, list({floating(1), floating(2)})).tag == EP_TAG_FLOATS);
    CHECK(encode(t, list({integer(1), simple(Shape::true_)})).tag == EP_TAG_LIST);
    CHECK(encode(t, list({simple(Shape::true_), integer(1)})).tag == EP_TAG_LIST);
    CHECK(encode(t, list({integer(1), big_integer(false, std::string(9, '\1'))})).tag == EP_TAG_LIST);
    CHECK(encode(t, list({integer(1), floating(1)})).tag == EP_TAG_LIST);
    CHECK(encode(t, list({floating(1), integer(1)})).tag == EP_TAG_LIST);
}

TEST_CASE("a stranger at any place of a run") {
    Terms t;
    const ERL_NIF_TERM ref = t.ref();
    const std::vector<std::pair<Shared, ERL_NIF_TERM>> strangers{
        {simple(Shape::none), t.atom("none")},
        {simple(Shape::true_), t.atom("true")},
        {integer(5), t.integer(5)},
        {floating(5), t.floating(5)},
        {big_integer(true, std::string(20, '\3')), t.integer(true, std::string(20, '\3'))},
        {text(std::string(600, 'x')), t.binary(std::string(600, 'x'))},
        {term(ref), ref},
        {list({integer(1)}), t.list({t.integer(1)})},
        {container(Shape::sequence, {floating(1)}), t.list({t.floating(1)})},
        {container(Shape::map, {integer(1), integer(2)}), t.map({{t.integer(1), t.integer(2)}})},
    };
    for (int n = 0; n < 12; ++n) {
        for (int place = 0; place <= n; ++place) {
            for (const auto &[stranger, its_term] : strangers) {
                for (bool integers : {true, false}) {
                    std::vector<Shared> values;
                    std::vector<ERL_NIF_TERM> terms;
                    for (int i = 0; i <= n; ++i) {
                        values.push_back(i == place ? stranger : integers ? integer(i) : floating(i));
                        terms.push_back(i == place ? its_term : integers ? t.integer(i) : t.floating(i));
                    }
                    check(t, list(values), t.list(terms));
                }
            }
        }
    }
}

TEST_CASE("values are encoded as deep as the bound and no deeper") {
    for (Shape shape : {Shape::list, Shape::tuple, Shape::map, Shape::sequence}) {
        Terms t, back;
        const ERL_NIF_TERM deepest = encode(t, nested(shape, ep::max_nesting)).term;
        // What comes out can go in again.
        CHECK(Recorded{t.env(), deepest}.result() == ep::Decoded::ok);
        CHECK_THROWS_AS(encode(t, nested(shape, ep::max_nesting + 1)), ValueSource::TooDeep);
    }
}

TEST_CASE("a value that contains itself is too deep") {
    Terms t;
    for (Shape shape : {Shape::list, Shape::tuple, Shape::map, Shape::sequence}) {
        Shared value = container(shape, {integer(1), integer(2)});
        value->items[1] = value;
        CHECK_THROWS_AS(encode(t, value), ValueSource::TooDeep);
        value->items.clear(); // or it would keep itself alive
    }
}

namespace {

// Ten elements, and the terms they are.
struct Ten {
    std::vector<Shared> values;
    std::vector<ERL_NIF_TERM> terms;

    Ten(const Terms &t, bool numbers) {
        for (int i = 0; i < 10; ++i) {
            values.push_back(numbers ? integer(i) : text("x"));
            terms.push_back(numbers ? t.integer(i) : t.binary("x"));
        }
    }
};

} // namespace

TEST_CASE("a list that shrinks while it is encoded ends where it ended") {
    Terms t;
    for (bool numbers : {true, false}) {
        for (size_t asked = 0; asked < 10; ++asked) {
            const Ten ten{t, numbers};
            ValueSource source;
            source.meanwhile = [asked](Value &list, size_t i) {
                if (i == asked) {
                    list.items.resize(std::min(list.items.size(), asked / 2));
                }
            };
            const std::vector<ERL_NIF_TERM> seen(ten.terms.begin(), ten.terms.begin() + static_cast<long>(asked));
            CHECK(enif_is_identical(encode(t, list(ten.values), source).term, t.list(seen)));
        }
    }
}

TEST_CASE("a list that grows with every element that is encoded comes to an end") {
    Terms t;
    Ten ten{t, false};
    ValueSource source;
    source.meanwhile = [](Value &list, size_t) { list.items.push_back(text("x")); };
    unsigned length = 0;
    REQUIRE(enif_get_list_length(t.env(), encode(t, list(ten.values), source).term, &length));
    CHECK(length >= 10);
    CHECK(length <= 12);
}

TEST_CASE("an element that becomes another one while it is encoded is one of both") {
    Terms t;
    for (bool numbers : {true, false}) {
        for (size_t asked = 0; asked < 10; ++asked) {
            Ten ten{t, numbers};
            ValueSource source;
            source.meanwhile = [asked](Value &list, size_t i) {
                if (i == asked) {
                    list.items[i] = text("changed");
                }
            };
            ten.terms[asked] = t.binary("changed");
            CHECK(enif_is_identical(encode(t, list(ten.values), source).term, t.list(ten.terms)));
        }
    }
}

TEST_CASE("a tuple wider than Erlang's can be has no form") {
    Terms t;
    ep::TermBuilder builder{t.env(), atoms()};
    CHECK_THROWS_AS(builder.tuple(1u << 24), ep::NoForm);
    CHECK_THROWS_AS(builder.tuple(UINT32_MAX), ep::NoForm);
}

TEST_CASE("strings of Erlang") {
    Terms t;
    ep::FlatWriter flat;
    flat.use_env(t.env());
    flat.charlist("123");
    CHECK(enif_is_identical(built(t.env(), flat.view()), t.list({t.integer('1'), t.integer('2'), t.integer('3')})));
    flat.clear();
    flat.charlist("");
    CHECK(enif_is_identical(built(t.env(), flat.view()), t.list({})));
}
