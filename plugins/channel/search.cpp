#include "search.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

namespace ep::channel {

const unsigned char *find_byte(const unsigned char *data, size_t size, unsigned char what) noexcept {
    return size > 0 ? static_cast<const unsigned char *>(std::memchr(data, what, size)) : nullptr;
}

const unsigned char *find_bytes(const unsigned char *data, size_t size, const unsigned char *what, size_t what_size) {
    if (what_size <= 1 || what_size > size) {
        return what_size == 0 ? data : what_size > size ? nullptr : find_byte(data, size, *what);
    }
#ifdef EP_HAS_MEMMEM
    return static_cast<const unsigned char *>(memmem(data, size, what, what_size));
#else
    const unsigned char *end = data + size;
    const unsigned char *found = std::search(data, end, std::boyer_moore_searcher{what, what + what_size});
    return found != end ? found : nullptr;
#endif
}

} // namespace ep::channel
