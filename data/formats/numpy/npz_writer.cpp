#include "detent/data/formats/numpy/npz_writer.h"

#include <zlib.h>

#include <algorithm>
#include <bit>

namespace detent::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kAlignment = 64;  // of the elements behind the header, within a .npy file
constexpr std::size_t kPrefix = 10;     // magic, version, length of the header
constexpr std::uint64_t kMostBytes = 0xFFFFFFFE;
constexpr std::uint64_t kAround = 256;  // more than the entries of one file have beside its name
constexpr std::size_t kMostFiles = 0xFFFE;
constexpr std::size_t kCrcChunk = std::size_t{1} << 30;
constexpr std::uint64_t kFirstDay = 0x21;  // 1 January 1980, the first that ZIP knows
constexpr std::uint64_t kVersion = 20;
constexpr std::uint64_t kUtf8Names = 1 << 11;

std::string little(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text += static_cast<char>(value >> 8 * i & 0xFF);
  }
  return text;
}

std::string npy_header(const std::string& descr, const std::string& shape) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  const std::size_t unpadded = kPrefix + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ').append("\n");
  return std::string("\x93NUMPY\x01\0", 8) + little(header.size(), 2) + header;
}

/// As Python writes a tuple: "()", "(3,)", "(3, 4)".
std::string tuple_of(const Shape& shape) {
  std::string text = "(";
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    text += (axis == 0 ? "" : " ") + std::to_string(shape[axis]) + (axis + 1 < shape.rank() || axis == 0 ? "," : "");
  }
  return text + ")";
}

const char* descr_of(DType dtype) {
  switch (dtype) {
    case DType::F64:
      return "<f8";
    case DType::F16:
      return "<f2";
    case DType::U8:
      return "|u1";
    case DType::S8:
      return "|i1";
    case DType::S32:
      return "<i4";
    case DType::F32:
    case DType::BF16:
      break;
  }
  return "<f4";
}

uLong crc_of(uLong crc, std::span<const std::byte> bytes) {
  for (std::size_t done = 0; done < bytes.size(); done += kCrcChunk) {
    crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data() + done),
                static_cast<uInt>(std::min(kCrcChunk, bytes.size() - done)));
  }
  return crc;
}

}  // namespace

NpzWriter::NpzWriter(const std::filesystem::path& path) : path_(path.string()), file_(path) {}

void NpzWriter::write(const std::string& bytes) {
  file_.write(std::as_bytes(std::span(bytes)));
  offset_ += bytes.size();
}

void NpzWriter::add_array(const std::string& name, const std::string& descr, const std::string& shape,
                          std::span<const std::byte> elements) {
  check(names_.insert(name).second, path_, ": two arrays are called \"", name, '"');
  const std::string header = npy_header(descr, shape);
  const std::string file_name = name + ".npy";
  const std::uint64_t bytes = header.size() + elements.size();
  check(
      offset_ + bytes + directory_.size() + kAround + 2 * file_name.size() <= kMostBytes && names_.size() <= kMostFiles,
      path_, ": more than 4 GB or ", kMostFiles,
      " arrays do not fit in an archive .npz; write fewer of them, or .safetensors");
  const uLong crc = crc_of(crc_of(0, std::as_bytes(std::span(header))), elements);
  const std::string common = little(kVersion, 2) + little(kUtf8Names, 2) + little(0, 4) + little(kFirstDay, 2) +
                             little(crc, 4) + little(bytes, 4) + little(bytes, 4) + little(file_name.size(), 2) +
                             little(0, 2);
  directory_ +=
      little(0x02014b50, 4) + little(kVersion, 2) + common + std::string(10, '\0') + little(offset_, 4) + file_name;
  write(little(0x04034b50, 4) + common + file_name + header);
  file_.write(elements);
  offset_ += elements.size();
}

void NpzWriter::add(const std::string& name, const Tensor& tensor) {
  const Tensor stored = tensor.dtype() == DType::BF16 ? tensor.to(DType::F32) : tensor;
  add_array(name, descr_of(stored.dtype()), tuple_of(stored.shape()), {stored.raw(), stored.bytes()});
}

void NpzWriter::add_text(const std::string& name, const std::string& text) {
  const std::string stored = text.empty() ? std::string(1, '\0') : text;
  add_array(name, "|S" + std::to_string(stored.size()), "()", std::as_bytes(std::span(stored)));
}

void NpzWriter::commit() {
  const std::uint64_t begin = offset_;
  write(directory_);
  write(little(0x06054b50, 4) + little(0, 4) + little(names_.size(), 2) + little(names_.size(), 2) +
        little(directory_.size(), 4) + little(begin, 4) + little(0, 2));
  file_.commit();
}

}  // namespace detent::data
