// Runs a fuzz target on files, for compilers without libFuzzer.
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **names) {
    for (int i = 1; i < count; ++i) {
        std::ifstream file{names[i], std::ios::binary};
        const std::string input{std::istreambuf_iterator<char>{file}, {}};
        std::cout << names[i] << ": " << input.size() << " bytes" << std::endl;
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(input.data()), input.size());
    }
    return count > 1 ? 0 : 1;
}
