// Arrays of numbers (numpy's, the module array's) as nested lists, by the buffer protocol.
#pragma once

#include "ref.hpp"

#include <erlang_python/convert/flat.hpp>

namespace ep {

// Records it, or a single number for an array of no dimensions. False, with nothing recorded and no error set, for an
// object that is no such array or whose elements are no numbers of this machine's byte order. Throws py::Raised.
bool record_array(FlatWriter &sink, PyObject *object);

} // namespace ep
