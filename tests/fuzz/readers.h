#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The readers of files, each as a function of bytes that are anything. libFuzzer calls them (libfuzzer.cpp), and a
/// driver without it (driver.cpp).
namespace detent::fuzz {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

struct Reader {
  std::string_view name;
  /// Reads. Bytes that are no file of this kind are an Error, and nothing else: whatever else it throws, a crash, a
  /// hang and memory without end are faults.
  std::function<void(View input)> read = {};
  /// Files to begin with.
  std::function<std::vector<Bytes>()> seeds = {};
  /// Makes checksums right again, without which a reader would not look any further; or nothing.
  std::function<void(Bytes& input)> repair = {};
};

const std::vector<Reader>& readers();
/// Throws Error, naming those that there are, if there is none of that name.
const Reader& reader_called(std::string_view name);

/// Those of each family.
std::vector<Reader> data_readers();
std::vector<Reader> model_readers();
std::vector<Reader> interchange_readers();

/// Reads, and lets Errors pass.
void read_any(const Reader& reader, View input);

/// A file of this process alone, in memory where the system has such a folder; removed at the end.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& ending);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(View bytes) const;
  Bytes read() const;

 private:
  std::filesystem::path path_;
};

inline Bytes bytes_of_text(std::string_view text) { return {text.begin(), text.end()}; }

/// Sets the CRC-32 of every chunk of a PNG file.
void repair_png(Bytes& file);
/// Sets the checksums of the superblock and of the object headers (first chunks) of an HDF5 file of the form that
/// Detent writes.
void repair_hdf5(Bytes& file);

}  // namespace detent::fuzz
