// Runs a fuzz target on files, for compilers without libFuzzer: what stands in for its driver, and, where there is no
// VM, a program around that.
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" int LLVMFuzzerRunDriver(int *count, char ***names, int (*target)(const uint8_t *, size_t));

int LLVMFuzzerRunDriver(int *count, char ***names, int (*target)(const uint8_t *, size_t)) {
    for (int i = 1; i < *count; ++i) {
        std::ifstream file{(*names)[i], std::ios::binary};
        const std::string input{std::istreambuf_iterator<char>{file}, {}};
        std::cout << (*names)[i] << ": " << input.size() << " bytes" << std::endl;
        target(reinterpret_cast<const uint8_t *>(input.data()), input.size());
    }
    return *count > 1 ? 0 : 1;
}

#ifndef EP_FUZZ_IN_VM
int main(int count, char **names) {
    return LLVMFuzzerRunDriver(&count, &names, LLVMFuzzerTestOneInput);
}
#endif
