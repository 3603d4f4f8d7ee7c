#include "detent/data/idx.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iomanip>
#include <sstream>
#include <vector>

#include "detent/data/fetch.h"
#include "detent/data/files.h"
#include "detent/io/sha256.h"

namespace detent::data {
namespace {

constexpr std::uint32_t kImagesMagic = 0x00000803;
constexpr std::uint32_t kLabelsMagic = 0x00000801;
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 40;

std::string hex(std::uint32_t word) {
  std::ostringstream text;
  text << "0x" << std::hex << std::setw(8) << std::setfill('0') << word;
  return text.str();
}

std::uint32_t read_word(ByteReader& reader) {
  std::array<std::byte, 4> bytes;
  check(reader.read(bytes) == 4, reader.path().string(), ": truncated: it ends within the IDX header");
  std::uint32_t word = 0;
  for (const std::byte byte : bytes) {
    word = word << 8 | std::to_integer<std::uint32_t>(byte);
  }
  return word;
}

/// Reads a file of `magic`; `extents` receives its dimensions.
std::vector<std::byte> read_idx_bytes(const std::filesystem::path& path, std::uint32_t magic,
                                      std::vector<std::int64_t>& extents) {
  ByteReader reader(path);
  const std::string file = path.string();
  const std::uint32_t found = read_word(reader);
  if (found != magic) {
    const bool is_other = found == kImagesMagic || found == kLabelsMagic;
    fail(file, ": not an IDX file of ", magic == kImagesMagic ? "images" : "labels", ": expected magic ", hex(magic),
         ", got ", hex(found),
         !is_other               ? ""
         : found == kImagesMagic ? " (these are images)"
                                 : " (these are labels)");
  }
  std::uint64_t expected = 1;
  for (std::uint32_t axis = 0; axis < (magic & 0xFF); ++axis) {
    const std::uint32_t extent = read_word(reader);
    check(extent >= 1, file, ": IDX dimension ", axis, " is 0: expected at least 1");
    // Both factors stay below 2^40 and 2^32, and the product is bounded before the next one: no overflow.
    check(expected <= kLargestFile / extent, file, ": the IDX header is damaged: dimension ", axis, " is ", extent);
    expected *= extent;
    extents.push_back(extent);
  }
  std::vector<std::byte> bytes = reader.read_up_to(expected);
  check(bytes.size() == expected, file, ": truncated: the IDX header promises ", expected,
        " bytes of data, the file has ", bytes.size());
  std::array<std::byte, 1> more;
  check(reader.read(more) == 0, file, ": more bytes follow the ", expected, " that the IDX header promises");
  return bytes;
}

void append_word(std::vector<std::byte>& bytes, std::int64_t value) {
  check(value >= 0 && value <= 0xFFFFFFFF, "idx: ", value, " does not fit a dimension of 32 bits");
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::byte>(value >> shift & 0xFF));
  }
}

void write_idx(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  if (path.extension() == ".gz") {
    write_file(path, gzip(bytes));
  } else {
    write_file(path, bytes);
  }
}

std::string idx_name(const std::string& stem, char separator) {
  return stem + separator + (stem.ends_with("images") ? "idx3-ubyte" : "idx1-ubyte");
}

std::filesystem::path require_idx(const std::filesystem::path& folder, const std::string& stem) {
  const auto path = find_idx(folder, stem);
  check(path.has_value(), folder.string(), ": has no ", idx_name(stem, '-'),
        "[.gz]: a data folder holds the four MNIST files train-images, train-labels, t10k-images and t10k-labels, or "
        "train.h5 and test.h5");
  return *path;
}

Dataset read_pair(const std::filesystem::path& folder, const std::string& part, std::int64_t classes) {
  const std::filesystem::path images = require_idx(folder, part + "-images");
  const std::filesystem::path labels = require_idx(folder, part + "-labels");
  Dataset dataset{{}, read_idx_images(images), read_idx_labels(labels), classes};
  dataset.validate(labels.string());
  return dataset;
}

/// Whether the files of `folder` hold what MNIST's do. The labels tell almost every other data set apart at once.
bool is_mnist(const std::filesystem::path& folder) {
  const std::vector<RemoteFile> files = mnist_remote().files;
  const auto is_same = [&](const char* stem) {
    const auto known = std::ranges::find_if(files, [&](const RemoteFile& file) { return file.name.starts_with(stem); });
    return sha256_hex(read_file(require_idx(folder, stem))) == known->sha256;
  };
  return is_same("t10k-labels") && is_same("train-labels") && is_same("t10k-images");
}

}  // namespace

Tensor read_idx_images(const std::filesystem::path& path) {
  std::vector<std::int64_t> extents;
  const std::vector<std::byte> bytes = read_idx_bytes(path, kImagesMagic, extents);
  extents.push_back(1);
  Tensor images = Tensor::empty(Shape(extents), DType::U8);
  std::memcpy(images.raw(), bytes.data(), bytes.size());
  return images;
}

Tensor read_idx_labels(const std::filesystem::path& path) {
  std::vector<std::int64_t> extents;
  const std::vector<std::byte> bytes = read_idx_bytes(path, kLabelsMagic, extents);
  Tensor labels = Tensor::empty(Shape(extents), DType::S32);
  std::ranges::transform(bytes, labels.data<std::int32_t>().begin(),
                         [](std::byte byte) { return std::to_integer<std::int32_t>(byte); });
  return labels;
}

std::optional<std::filesystem::path> find_idx(const std::filesystem::path& folder, const std::string& stem) {
  for (const char separator : {'-', '.'}) {
    for (const char* ending : {"", ".gz"}) {
      std::filesystem::path path = folder / (idx_name(stem, separator) + ending);
      std::error_code error;
      if (std::filesystem::exists(path, error)) {
        return path;
      }
    }
  }
  return std::nullopt;
}

bool has_idx_files(const std::filesystem::path& folder) {
  constexpr std::array kStems = {"train-images", "train-labels", "t10k-images", "t10k-labels"};
  return std::ranges::any_of(kStems, [&](const char* stem) { return find_idx(folder, stem).has_value(); });
}

DataSource read_idx_folder(const std::filesystem::path& folder, const std::string& name, std::int64_t classes) {
  std::error_code error;
  check(std::filesystem::is_directory(folder, error), folder.string(), ": no such folder");
  DataSource source;
  source.train = read_pair(folder, "train", classes);
  source.test = read_pair(folder, "t10k", classes);
  source.validate(folder.string());
  source.describe(!name.empty() ? name : is_mnist(folder) ? "mnist" : name_of_path(folder), folder);
  return source;
}

void write_idx_images(const std::filesystem::path& path, const Tensor& images) {
  check(images.defined() && images.dtype() == DType::U8 && images.shape().rank() == 4 && images.shape()[3] == 1,
        path.string(), ": IDX holds images u8 [N, H, W, 1], got ", images.dtype(), ' ', images.shape());
  std::vector<std::byte> bytes;
  bytes.reserve(16 + images.bytes());
  append_word(bytes, kImagesMagic);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    append_word(bytes, images.shape()[axis]);
  }
  bytes.insert(bytes.end(), images.raw(), images.raw() + images.bytes());
  write_idx(path, bytes);
}

void write_idx_labels(const std::filesystem::path& path, const Tensor& labels) {
  check(labels.defined() && labels.dtype() == DType::S32 && labels.shape().rank() == 1, path.string(),
        ": IDX holds labels s32 [N], got ", labels.dtype(), ' ', labels.shape());
  std::vector<std::byte> bytes;
  append_word(bytes, kLabelsMagic);
  append_word(bytes, labels.elements());
  for (const std::int32_t label : labels.data<std::int32_t>()) {
    check(label >= 0 && label <= 255, path.string(), ": label ", label, " does not fit a byte");
    bytes.push_back(static_cast<std::byte>(label));
  }
  write_idx(path, bytes);
}

void write_idx_folder(const std::filesystem::path& folder, const DataSource& source, bool is_compressed) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, folder.string(), ": cannot be made: ", error.message());
  const auto path = [&](const char* stem) { return folder / (idx_name(stem, '-') + (is_compressed ? ".gz" : "")); };
  write_idx_images(path("train-images"), source.train.examples);
  write_idx_labels(path("train-labels"), source.train.labels);
  write_idx_images(path("t10k-images"), source.test.examples);
  write_idx_labels(path("t10k-labels"), source.test.labels);
}

}  // namespace detent::data
