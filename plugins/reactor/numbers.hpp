// Which descriptors the VM knows as ours.
#pragma once

namespace ep::reactor {

// A copy of a descriptor that programs which are started do not inherit, and whose number is none that the VM still
// watches for another file of ours: one that somebody closed who should not have. Throws PosixError. Any thread.
int copy_of(int fd);

// The VM knows that number no more. Any thread.
void forget_number(int fd) noexcept;

} // namespace ep::reactor
