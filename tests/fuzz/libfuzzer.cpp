// The entry points that libFuzzer calls. DETENT_FUZZ_READER names the reader, and DETENT_FUZZ_SEEDS a folder that is to
// get the files to begin with.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "detent/core/error.h"
#include "tests/fuzz/readers.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

const detent::fuzz::Reader& chosen() {
  static const detent::fuzz::Reader& reader = detent::fuzz::reader_called(variable("DETENT_FUZZ_READER"));
  return reader;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) {
  try {
    const std::string folder = variable("DETENT_FUZZ_SEEDS");
    const std::vector<detent::fuzz::Bytes> seeds =
        folder.empty() ? std::vector<detent::fuzz::Bytes>() : chosen().seeds();
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream file(folder + "/seed-" + std::to_string(i), std::ios::binary);
      file.write(reinterpret_cast<const char*>(seeds[i].data()), static_cast<std::streamsize>(seeds[i].size()));
    }
    chosen();
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    std::exit(2);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  detent::fuzz::read_any(chosen(), {data, size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  const std::size_t mutated = LLVMFuzzerMutate(data, size, most);
  if (!chosen().repair || seed % 8 == 0) {
    return mutated;
  }
  detent::fuzz::Bytes bytes(data, data + mutated);
  chosen().repair(bytes);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
