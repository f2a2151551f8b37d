// Terms by chance, the same ones in every run, without those that are something else on their way back (undefined,
// {bytes, _}).
#pragma once

#include "terms.hpp"

#include <random>

class RandomTerms {
public:
    RandomTerms(const Terms &terms, uint32_t seed) : terms_(terms), random_(seed) {}

    ERL_NIF_TERM term(int depth = 5) {
        // Containers are rarer further in, or terms would have no end.
        return below(5) < depth ? container(depth - 1) : leaf();
    }

private:
    // std::uniform_int_distribution differs from library to library.
    int below(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }

    ERL_NIF_TERM leaf() {
        switch (below(12)) {
        case 0: return terms_.atom(below(2) ? "true" : "false");
        case 1: return terms_.unicode_atom(below(2) ? "größer" : "κόσμος");
        case 2: return terms_.integer(below(300));
        case 3: return terms_.integer(static_cast<int64_t>(uint64_t{random_()} << 32 | random_()));
        case 4: return terms_.integer(below(2) == 1, bytes(9 + below(300)));
        case 5: return terms_.floating((static_cast<double>(random_()) - 2e9) / (1 + below(1000)));
        case 6: return terms_.binary(bytes(below(40)));
        case 7: return terms_.binary(bytes(400 + below(300)));
        case 8: return terms_.bitstring(bytes(1 + below(5)), 1 + below(7));
        case 9: return terms_.pid(below(2) ? this_node : other_node, 1 + random_() % 1000);
        case 10: return terms_.ref(below(2) ? this_node : other_node, random_() % 1000);
        default: return terms_.function("lists", "map", static_cast<unsigned char>(below(255)));
        }
    }

    ERL_NIF_TERM container(int depth) {
        switch (below(5)) {
        case 0: return run(depth);
        case 1: return terms_.list(several(depth));
        case 2: return terms_.tuple(several(depth));
        default: return map(depth);
        }
    }

    std::vector<ERL_NIF_TERM> several(int depth) {
        std::vector<ERL_NIF_TERM> all;
        for (int n = below(6); n > 0; --n) {
            all.push_back(term(depth));
        }
        return all;
    }

    // Numbers, and now and then something else at their end.
    ERL_NIF_TERM run(int depth) {
        std::vector<ERL_NIF_TERM> all;
        const bool integers = below(2) == 1;
        for (int n = below(50); n > 0; --n) {
            all.push_back(integers ? terms_.integer(below(1000)) : terms_.floating(below(1000) / 8.0));
        }
        if (below(3) == 0) {
            all.push_back(term(depth));
        }
        return terms_.list(all);
    }

    ERL_NIF_TERM map(int depth) {
        std::vector<std::pair<ERL_NIF_TERM, ERL_NIF_TERM>> pairs;
        for (int n = below(10) == 0 ? 30 + below(60) : below(6); n > 0; --n) {
            pairs.emplace_back(below(2) ? term(depth) : terms_.integer(n), term(depth - 1));
        }
        return terms_.map(pairs);
    }

    std::string bytes(int n) {
        std::string text;
        for (; n > 0; --n) {
            text += static_cast<char>(1 + below(255));
        }
        return text;
    }

    const Terms &terms_;
    std::mt19937 random_;
};
