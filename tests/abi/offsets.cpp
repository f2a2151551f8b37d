// The same layout for C++, whose headers are the same.
#define _Static_assert static_assert
#include "offsets.c"
