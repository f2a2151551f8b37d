// Compiled code by its source, so that the same expression pays the compiler once.
#pragma once

#include "ref.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ep {

// An eval is an expression, or statements that end with one; an exec is statements only.
struct Code {
    py::Ref statements; // may be empty
    py::Ref expression; // empty for exec
};

// A context's own; no locks. Each source has one place, taken over by the latest that hashes there.
class CodeCache {
public:
    enum class Kind : uint8_t { eval, exec };

    // Throws py::Raised when it does not compile.
    const Code &get(std::string_view source, Kind kind);

private:
    static constexpr size_t places = 256;
    static constexpr size_t largest = 16 * 1024; // larger sources are compiled each time

    struct Entry {
        std::string source;
        Kind kind = Kind::eval;
        Code code;
    };
    std::array<Entry, places> entries_;
    Code uncached_;
};

} // namespace ep
