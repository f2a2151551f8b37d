// "External Term Format" of the ERTS user's guide has the layouts.
#include "terms.hpp"

#include <algorithm>
#include <stdexcept>

namespace {

// Their names are the manual's, without "_EXT".
enum Tag : unsigned char {
    BIT_BINARY = 77,
    NEW_PID = 88,
    NEW_PORT = 89,
    NEWER_REFERENCE = 90,
    SMALL_INTEGER = 97,
    INTEGER = 98,
    LARGE_BIG = 111,
    NEW_FUN = 112,
    EXPORT = 113,
    ATOM_UTF8 = 118
};

std::string byte(unsigned value) {
    return std::string(1, static_cast<char>(value));
}

std::string number(uint32_t value, int bytes) {
    std::string text;
    for (int i = bytes; i-- > 0;) {
        text += byte(value >> (8 * i) & 0xff);
    }
    return text;
}

std::string encoded_atom(std::string_view utf8) {
    return byte(ATOM_UTF8) + number(static_cast<uint32_t>(utf8.size()), 2) + std::string{utf8};
}

std::string encoded_integer(uint32_t value) {
    return byte(INTEGER) + number(value, 4);
}

std::string encoded_pid(std::string_view node, uint32_t id) {
    return byte(NEW_PID) + encoded_atom(node) + number(id, 4) + number(0, 4) + number(node == this_node ? 0 : 1, 4);
}

} // namespace

Terms::Term Terms::external(const std::string &format) const {
    const std::string all = "\x83" + format;
    Term term;
    if (enif_binary_to_term(env_, reinterpret_cast<const unsigned char *>(all.data()), all.size(), &term, 0) == 0) {
        throw std::runtime_error{"the VM does not take that for a term"};
    }
    return term;
}

Terms::Term Terms::binary(std::string_view bytes) const {
    Term term;
    unsigned char *place = enif_make_new_binary(env_, bytes.size(), &term);
    std::copy(bytes.begin(), bytes.end(), place);
    return term;
}

Terms::Term Terms::list(const std::vector<Term> &elements) const {
    return enif_make_list_from_array(env_, elements.data(), static_cast<unsigned>(elements.size()));
}

Terms::Term Terms::improper(const std::vector<Term> &elements, Term tail) const {
    for (auto element = elements.rbegin(); element != elements.rend(); ++element) {
        tail = enif_make_list_cell(env_, *element, tail);
    }
    return tail;
}

Terms::Term Terms::tuple(const std::vector<Term> &elements) const {
    return enif_make_tuple_from_array(env_, elements.data(), static_cast<unsigned>(elements.size()));
}

// One by one, which works on every thread.
Terms::Term Terms::map(const std::vector<std::pair<Term, Term>> &pairs) const {
    Term map = enif_make_new_map(env_);
    for (const auto &[key, value] : pairs) {
        enif_make_map_put(env_, map, key, value, &map);
    }
    return map;
}

Terms::Term Terms::integer(bool negative, std::string_view magnitude) const {
    return external(byte(LARGE_BIG) + number(static_cast<uint32_t>(magnitude.size()), 4) + byte(negative ? 1 : 0) +
                    std::string{magnitude});
}

Terms::Term Terms::unicode_atom(std::string_view utf8) const {
    return external(encoded_atom(utf8));
}

Terms::Term Terms::bitstring(std::string_view bytes, int bits) const {
    return external(byte(BIT_BINARY) + number(static_cast<uint32_t>(bytes.size()), 4) +
                    byte(static_cast<unsigned>(bits)) + std::string{bytes});
}

Terms::Term Terms::pid(std::string_view node, uint32_t id) const {
    return external(encoded_pid(node, id));
}

Terms::Term Terms::ref(std::string_view node, uint32_t id) const {
    return external(byte(NEWER_REFERENCE) + number(3, 2) + encoded_atom(node) + number(node == this_node ? 0 : 1, 4) +
                    number(id, 4) + number(1, 4) + number(2, 4));
}

Terms::Term Terms::port(std::string_view node, uint32_t id) const {
    return external(byte(NEW_PORT) + encoded_atom(node) + number(id, 4) + number(node == this_node ? 0 : 1, 4));
}

Terms::Term Terms::function(std::string_view module, std::string_view name, unsigned char arity) const {
    return external(byte(EXPORT) + encoded_atom(module) + encoded_atom(name) + byte(SMALL_INTEGER) + byte(arity));
}

Terms::Term Terms::closure(std::string_view module, unsigned char arity, int64_t value) const {
    const std::string rest = byte(arity) + std::string(16, 'u') + number(0, 4) + number(1, 4) + encoded_atom(module) +
                             encoded_integer(0) + encoded_integer(7) + encoded_pid(this_node, 1) +
                             encoded_integer(static_cast<uint32_t>(value));
    return external(byte(NEW_FUN) + number(static_cast<uint32_t>(rest.size() + 4), 4) + rest);
}

std::string printed(ERL_NIF_TERM term) {
    char text[300];
    enif_snprintf(text, sizeof text, "%T", term);
    return text;
}
