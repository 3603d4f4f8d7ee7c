#include "tests/fuzz/readers.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>

#include "detent/core/error.h"

namespace detent::fuzz {

const std::vector<Reader>& readers() {
  static const std::vector<Reader> all = [] {
    std::vector<Reader> rows = data_readers();
    std::ranges::move(model_readers(), std::back_inserter(rows));
    std::ranges::move(interchange_readers(), std::back_inserter(rows));
    return rows;
  }();
  return all;
}

const Reader& reader_called(std::string_view name) {
  std::string names;
  for (const Reader& reader : readers()) {
    if (reader.name == name) {
      return reader;
    }
    names += ' ' + std::string(reader.name);
  }
  fail("fuzz: no reader '", name, "': expected one of", names);
}

void read_any(const Reader& reader, View input) {
  try {
    reader.read(input);
  } catch (const Error&) {
  }
}

ScratchFile::ScratchFile(const std::string& ending) {
  const std::filesystem::path memory = "/dev/shm";
  const auto folder = ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  path_ = folder / ("detent-fuzz-" + std::to_string(::getpid()) + ending);
}

ScratchFile::~ScratchFile() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void ScratchFile::write(View bytes) const {
  std::ofstream file(path_, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  check(file.good(), path_.string(), ": cannot be written");
}

Bytes ScratchFile::read() const {
  std::ifstream file(path_, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace detent::fuzz
