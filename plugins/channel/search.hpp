// Looking for bytes among bytes.
#pragma once

#include <cstddef>

namespace ep::channel {

// The first place of `what` in `data`; nullptr: there is none. Takes time in proportion to the sizes, whatever the
// bytes.
const unsigned char *find_byte(const unsigned char *data, size_t size, unsigned char what) noexcept;
const unsigned char *find_bytes(const unsigned char *data, size_t size, const unsigned char *what, size_t what_size);

} // namespace ep::channel
