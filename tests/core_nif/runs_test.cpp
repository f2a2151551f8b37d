// Lists of integers and of floats are recorded without a tag for each element, until one comes that is neither.
#include "conversion.hpp"
#include "terms.hpp"

#include "catch.hpp"

namespace {

using List = std::vector<ERL_NIF_TERM>;

List integers(const Terms &terms, int n) {
    List list;
    for (int i = 0; i < n; ++i) {
        list.push_back(terms.integer(i % 3 == 0 ? -i : int64_t{i} << 40));
    }
    return list;
}

List floats(const Terms &terms, int n) {
    List list;
    for (int i = 0; i < n; ++i) {
        list.push_back(terms.floating(i % 3 == 0 ? -i : 1.0 / (i + 1)));
    }
    return list;
}

// What may end a run.
List strangers(const Terms &terms) {
    return {terms.atom("true"),
            terms.atom("x"),
            terms.integer(5),
            terms.floating(5.0),
            terms.integer(false, std::string(9, '\1')),
            terms.binary("b"),
            terms.binary(std::string(600, 'b')),
            terms.list({}),
            terms.list({terms.integer(1), terms.integer(2)}),
            terms.tuple({terms.integer(1)}),
            terms.map({{terms.integer(1), terms.floating(1.5)}}),
            terms.ref()};
}

void check(const Terms &terms, const List &elements) {
    const ERL_NIF_TERM list = terms.list(elements);
    Terms back;
    const ERL_NIF_TERM term = round_trip(terms.env(), list, back.env());
    INFO(printed(list) << " came back as " << printed(term));
    CHECK(enif_is_identical(list, term));
}

ep_tag tag_of(const Terms &terms, const List &elements) {
    return Recorded{terms.env(), terms.list(elements)}.tag();
}

} // namespace

TEST_CASE("lists of one kind of number are runs") {
    Terms terms;
    for (int n : {1, 2, 3, 100}) {
        CHECK(tag_of(terms, integers(terms, n)) == EP_TAG_INTS);
        CHECK(tag_of(terms, floats(terms, n)) == EP_TAG_FLOATS);
    }
    CHECK(tag_of(terms, {}) == EP_TAG_LIST);
    CHECK(tag_of(terms, {terms.integer(false, std::string(9, '\1'))}) == EP_TAG_LIST);
    CHECK(tag_of(terms, {terms.integer(1), terms.floating(1)}) == EP_TAG_LIST);
    CHECK(tag_of(terms, {terms.floating(1), terms.integer(1)}) == EP_TAG_LIST);
}

TEST_CASE("runs of any length come back") {
    Terms terms;
    for (int n = 0; n < 70; ++n) {
        check(terms, integers(terms, n));
        check(terms, floats(terms, n));
    }
    check(terms, integers(terms, 100000));
    check(terms, floats(terms, 100000));
}

TEST_CASE("a stranger at any place of a run becomes an element of a list") {
    Terms terms;
    for (int n = 0; n < 20; ++n) {
        for (int place = 0; place <= n; ++place) {
            for (ERL_NIF_TERM stranger : strangers(terms)) {
                for (List list : {integers(terms, n), floats(terms, n)}) {
                    list.insert(list.begin() + place, stranger);
                    check(terms, list);
                }
            }
        }
    }
}

TEST_CASE("a stranger behind a long run becomes an element of a list") {
    Terms terms;
    for (ERL_NIF_TERM stranger : strangers(terms)) {
        for (List list : {integers(terms, 20000), floats(terms, 20000)}) {
            list.push_back(stranger);
            list.push_back(terms.integer(1));
            check(terms, list);
        }
    }
}

TEST_CASE("runs that end nest in each other and lie beside each other") {
    Terms terms;
    List list = integers(terms, 5);
    for (int depth = 0; depth < 8; ++depth) {
        list.push_back(terms.list(list));
        list.push_back(terms.list(floats(terms, depth)));
        list.erase(list.begin());
        check(terms, list);
    }
    check(terms, {terms.tuple({terms.list(integers(terms, 3)), terms.list(floats(terms, 3)), terms.integer(1)}),
                  terms.list(integers(terms, 1)), terms.atom("end")});
}
