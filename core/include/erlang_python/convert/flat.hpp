// Flat values, written and read. The format is flat.h's.
#pragma once

#include "../flat.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>

namespace ep {

// Binaries up to this size are copied into the flat value; larger ones cross as terms, by reference.
inline constexpr size_t max_inline_binary = 512;

// memcpy may not be given a null pointer, even for no bytes.
inline void copy_bytes(void *to, const void *from, size_t size) noexcept {
    if (size != 0) {
        std::memcpy(to, from, size);
    }
}

// Bytes that grow. Unlike std::vector it does not clear what is about to be overwritten.
class ByteBuffer {
public:
    ByteBuffer() = default;
    ByteBuffer(const ByteBuffer &) = delete;
    ByteBuffer &operator=(const ByteBuffer &) = delete;
    ~ByteBuffer() { std::free(data_); }

    const unsigned char *data() const noexcept { return data_; }
    unsigned char *at(size_t offset) noexcept { return data_ + offset; }
    size_t size() const noexcept { return size_; }
    void truncate(size_t size) noexcept { size_ = size; }

    // Room for n more bytes, already counted.
    unsigned char *extend(size_t n) {
        if (capacity_ - size_ < n) {
            grow(n);
        }
        unsigned char *place = data_ + size_;
        size_ += n;
        return place;
    }

    // Forgets everything; keeps the memory up to `keep` bytes.
    void clear(size_t keep) noexcept {
        size_ = 0;
        if (capacity_ > keep) {
            std::free(data_);
            data_ = nullptr;
            capacity_ = 0;
        }
    }

private:
    void grow(size_t n) {
        size_t wanted = size_ + n;
        size_t doubled = capacity_ < 128 ? 256 : capacity_ * 2;
        size_t capacity = wanted > doubled ? wanted : doubled;
        auto *data = static_cast<unsigned char *>(std::realloc(data_, capacity));
        if (data == nullptr) {
            throw std::bad_alloc{};
        }
        data_ = data;
        capacity_ = capacity;
    }

    unsigned char *data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

// Records values. What decode() drives.
class FlatWriter {
public:
    // Where terms go that cannot be bytes. Borrowed; set before use. Without one an environment is made for the first
    // such term, and is the user's from then on.
    void use_env(ErlNifEnv *env) noexcept { env_ = env; }
    ErlNifEnv *env() {
        if (env_ == nullptr) {
            env_ = enif_alloc_env();
        }
        return env_;
    }
    ErlNifEnv *used_env() const noexcept { return env_; }

    void tag(ep_tag tag) { *bytes_.extend(1) = static_cast<unsigned char>(tag); }
    void integer(int64_t value) { tagged(EP_TAG_INT, value); }
    void floating(double value) { tagged(EP_TAG_FLOAT, value); }
    void atom(ERL_NIF_TERM value) { tagged(EP_TAG_ATOM, value); }
    void pid(ERL_NIF_TERM value) { tagged(EP_TAG_PID, value); }

    void data(ep_tag tag, const unsigned char *data, size_t size) {
        unsigned char *place = sized(tag, size, size);
        copy_bytes(place, data, size);
    }
    void text(std::string_view text) {
        data(EP_TAG_TEXT, reinterpret_cast<const unsigned char *>(text.data()), text.size());
    }

    void big_integer(bool negative, const unsigned char *magnitude, size_t size) {
        unsigned char *place = bytes_.extend(6 + size);
        place[0] = EP_TAG_BIGINT;
        place[1] = negative ? 1 : 0;
        put_size(place + 2, size);
        copy_bytes(place + 6, magnitude, size);
    }

    // A list of ASCII characters.
    void charlist(std::string_view text) {
        tagged(EP_TAG_CHARLIST, static_cast<uint32_t>(text.size()));
        for (char character : text) {
            auto point = static_cast<uint32_t>(static_cast<unsigned char>(character));
            std::memcpy(bytes_.extend(sizeof point), &point, sizeof point);
        }
    }

    // Bytes for a binary: inline, or in one that is made here.
    void binary(const void *data, size_t size) {
        if (size <= max_inline_binary) {
            this->data(EP_TAG_BYTES, static_cast<const unsigned char *>(data), size);
            return;
        }
        ERL_NIF_TERM term;
        unsigned char *place = enif_make_new_binary(env(), size, &term);
        if (place == nullptr) {
            throw std::bad_alloc{};
        }
        copy_bytes(place, data, size);
        own_term(EP_TAG_BIG_BYTES, term);
    }

    // A term that stays a term: copied, and named by its number.
    void term(ep_tag tag, ERL_NIF_TERM term) { own_term(tag, enif_make_copy(env(), term)); }

    // The same for one that lives in env() already.
    void own_term(ep_tag tag, ERL_NIF_TERM copy) {
        auto number = static_cast<uint32_t>(terms_.size() / sizeof(ERL_NIF_TERM));
        std::memcpy(terms_.extend(sizeof copy), &copy, sizeof copy);
        tagged(tag, number);
    }

    // A container whose length is known before its elements...
    void begin(ep_tag tag, uint32_t n) { tagged(tag, n); }
    // ... or after them.
    size_t begin(ep_tag tag) {
        tagged(tag, uint32_t{0});
        return bytes_.size() - sizeof(uint32_t);
    }
    void end(size_t mark, uint32_t n) noexcept { std::memcpy(bytes_.at(mark), &n, sizeof n); }

    // A run of equal eight-byte elements, in a container begun as INTS or FLOATS.
    template <class Eight> void element(Eight value) {
        static_assert(sizeof value == 8);
        std::memcpy(bytes_.extend(8), &value, 8);
    }
    // It was no such run after all: its first n elements become elements of a LIST.
    void run_becomes_list(size_t mark, uint32_t n, ep_tag element_tag) {
        bytes_.extend(n);
        unsigned char *first = bytes_.at(mark + sizeof(uint32_t));
        for (uint32_t i = n; i-- > 0;) {
            std::memmove(first + size_t{i} * 9 + 1, first + size_t{i} * 8, 8);
            first[size_t{i} * 9] = static_cast<unsigned char>(element_tag);
        }
        *bytes_.at(mark - 1) = EP_TAG_LIST;
    }

    size_t size() const noexcept { return bytes_.size(); }

    ep_flat view() const noexcept {
        return {{bytes_.data(), bytes_.size()},
                env_,
                reinterpret_cast<const ERL_NIF_TERM *>(terms_.data()),
                terms_.size() / sizeof(ERL_NIF_TERM)};
    }

    // A copy of somebody else's, whose terms are copied into env().
    void assign(const ep_flat &other) {
        bytes_.truncate(0);
        terms_.truncate(0);
        copy_bytes(bytes_.extend(other.bytes.size), other.bytes.data, other.bytes.size);
        for (size_t i = 0; i < other.term_count; ++i) {
            ERL_NIF_TERM copy = enif_make_copy(env(), other.terms[i]);
            std::memcpy(terms_.extend(sizeof copy), &copy, sizeof copy);
        }
    }

    // Forgets everything; keeps the memory up to `keep` bytes.
    void clear(size_t keep = 64 * 1024) noexcept {
        bytes_.clear(keep);
        terms_.clear(keep / 16);
    }

private:
    static void put_size(unsigned char *place, size_t size) {
        if (size > UINT32_MAX) {
            throw std::length_error{"a value of 4 GiB or more"};
        }
        auto small = static_cast<uint32_t>(size);
        std::memcpy(place, &small, sizeof small);
    }

    unsigned char *sized(ep_tag tag, size_t size, size_t room) {
        unsigned char *place = bytes_.extend(1 + sizeof(uint32_t) + room);
        place[0] = static_cast<unsigned char>(tag);
        put_size(place + 1, size);
        return place + 1 + sizeof(uint32_t);
    }

    template <class Value> void tagged(ep_tag tag, Value value) {
        unsigned char *place = bytes_.extend(1 + sizeof value);
        place[0] = static_cast<unsigned char>(tag);
        std::memcpy(place + 1, &value, sizeof value);
    }

    ByteBuffer bytes_;
    ByteBuffer terms_;
    ErlNifEnv *env_ = nullptr;
};

// Reads the raw parts of a flat stream. It trusts it: both ends are ours, inside one process and one ABI version.
class FlatReader {
public:
    explicit FlatReader(const ep_flat &flat) noexcept : flat_(flat), next_(flat.bytes.data) {}

    bool at_end() const noexcept { return next_ == flat_.bytes.data + flat_.bytes.size; }
    ep_tag peek() const noexcept { return static_cast<ep_tag>(*next_); }
    ep_tag tag() noexcept { return static_cast<ep_tag>(*next_++); }

    template <class Value> Value raw() noexcept {
        Value value;
        std::memcpy(&value, next_, sizeof value);
        next_ += sizeof value;
        return value;
    }

    ep_slice data() noexcept {
        auto size = raw<uint32_t>();
        ep_slice slice{next_, size};
        next_ += size;
        return slice;
    }

    const unsigned char *skip(size_t size) noexcept {
        const unsigned char *place = next_;
        next_ += size;
        return place;
    }

    ErlNifEnv *env() const noexcept { return flat_.env; }
    ERL_NIF_TERM term() noexcept { return flat_.terms[raw<uint32_t>()]; }

private:
    ep_flat flat_;
    const unsigned char *next_;
};

} // namespace ep
