// A builder for replay() that writes down what it is told, so that tests see the difference between a str and bytes.
#pragma once

#include <erlang_python/convert/decode.hpp>
#include <erlang_python/convert/replay.hpp>

#include <cstdio>
#include <set>
#include <string>
#include <vector>

class TextBuilder {
public:
    using Value = std::string;
    struct List : std::vector<Value> {};
    struct Tuple : std::vector<Value> {};
    using Map = std::multiset<Value>; // the VM's order of keys is its own affair

    explicit TextBuilder(ErlNifEnv *env) : env_(env) {}

    Value none() { return "none"; }
    Value boolean(bool value) { return value ? "true" : "false"; }
    Value integer(int64_t value) { return std::to_string(value); }
    Value big_integer(bool negative, ep_slice magnitude) {
        std::string text = negative ? "-0x" : "0x";
        for (size_t i = magnitude.size; i-- > 0;) {
            char digits[3];
            std::snprintf(digits, sizeof digits, "%02x", magnitude.data[i]);
            text += digits;
        }
        return text;
    }
    Value floating(double value) {
        char text[40];
        std::snprintf(text, sizeof text, "%.17g", value);
        return std::string{text} + "f";
    }
    Value text(ep_slice data) { return "text(" + string(data) + ")"; }
    Value bytes(ep_slice data) { return "bytes(" + string(data) + ")"; }
    Value atom(ERL_NIF_TERM atom) { return "atom(" + ep::atom_text(env_, atom) + ")"; }
    Value pid(ERL_NIF_TERM) { return "pid"; }
    Value view(ErlNifEnv *env, ERL_NIF_TERM term) { return "view(" + string(env, term) + ")"; }
    Value big_text(ErlNifEnv *env, ERL_NIF_TERM term) { return "big text(" + string(env, term) + ")"; }
    Value big_bytes(ErlNifEnv *env, ERL_NIF_TERM term) { return "big bytes(" + string(env, term) + ")"; }
    Value object(ErlNifEnv *, ERL_NIF_TERM) { return "object"; }
    Value opaque(ep_tag tag, ErlNifEnv *, ERL_NIF_TERM) {
        return tag == EP_TAG_REF ? "ref" : tag == EP_TAG_REMOTE_PID ? "remote pid" : tag == EP_TAG_TERM ? "term" : "?";
    }

    List list(uint32_t n) { return {std::vector<Value>(n)}; }
    Tuple tuple(uint32_t n) { return {std::vector<Value>(n)}; }
    Map map(uint32_t) { return {}; }
    void set(std::vector<Value> &container, uint32_t i, Value value) { container.at(i) = std::move(value); }
    void insert(Map &map, Value key, const Value &value) { map.insert(std::move(key) + ": " + value); }
    Value finish(List &&list) { return "[" + joined(list) + "]"; }
    Value finish(Tuple &&tuple) { return "{" + joined(tuple) + "}"; }
    Value finish(Map &&map) { return "#{" + joined(map) + "}"; }

private:
    static std::string string(ep_slice data) { return {reinterpret_cast<const char *>(data.data), data.size}; }
    static std::string string(ErlNifEnv *env, ERL_NIF_TERM term) {
        ErlNifBinary binary;
        return enif_inspect_binary(env, term, &binary) ? string({binary.data, binary.size}) : "no binary";
    }
    template <class Container> static std::string joined(const Container &container) {
        std::string text;
        for (const Value &value : container) {
            text += (text.empty() ? "" : ", ") + value;
        }
        return text;
    }

    ErlNifEnv *env_;
};
