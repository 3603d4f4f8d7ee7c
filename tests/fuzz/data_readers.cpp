#include <algorithm>
#include <array>
#include <utility>

#include "detent/data/digits.h"
#include "detent/data/files.h"
#include "detent/data/formats/images/image_file.h"
#include "detent/data/formats/numpy/arrays.h"
#include "detent/data/formats/table/table_dataset.h"
#include "detent/data/hdf5_dataset.h"
#include "detent/data/idx.h"
#include "tests/data/npy_files.h"
#include "tests/data/pictures.h"
#include "tests/fuzz/readers.h"

namespace detent::fuzz {
namespace {

data::DataSource digits() {
  static const data::DataSource drawn = data::make_digits({.train = 10, .test = 10, .seed = 1});
  return drawn;
}

/// What `write` writes to a file of that ending.
template <typename Write>
Bytes written(const std::string& ending, Write&& write) {
  const ScratchFile file(ending);
  write(file.path());
  return file.read();
}

// The first byte says how the others are read.
Bytes told(std::uint8_t how, Bytes bytes) {
  bytes.insert(bytes.begin(), how);
  return bytes;
}
std::pair<std::uint8_t, View> taken_apart(View input) {
  return input.empty() ? std::pair{std::uint8_t{0}, input} : std::pair{input[0], input.subspan(1)};
}

void read_idx(View input) {
  const auto [how, bytes] = taken_apart(input);
  const ScratchFile file(".idx");
  file.write(bytes);
  how % 2 == 0 ? data::read_idx_images(file.path()) : data::read_idx_labels(file.path());
}

std::vector<Bytes> idx_seeds() {
  std::vector<Bytes> seeds;
  for (const std::string ending : {".idx", ".idx.gz"}) {
    seeds.push_back(
        told(0, written(ending, [](const auto& path) { data::write_idx_images(path, digits().test.examples); })));
    seeds.push_back(
        told(1, written(ending, [](const auto& path) { data::write_idx_labels(path, digits().train.labels); })));
  }
  return seeds;
}

// As a data set with columns of every use, without a word about them, and as a model would find its features.
void read_table(View input) {
  const auto [how, bytes] = taken_apart(input);
  constexpr std::array kEndings{".csv", ".tsv", ".csv.gz", ".txt"};
  const ScratchFile file(kEndings[how % kEndings.size()]);
  file.write(bytes);
  data::ReadOptions options;
  if ((how & 4) != 0) {
    options = {.label = {"-1"}, .slices = {"site"}, .ignore = {"0"}};
  }
  if ((how & 8) != 0) {
    options.task = data::TargetKind::kValues;
  }
  if ((how & 16) != 0) {
    options.known_features = {"height", "width"};
  }
  data::read_table(file.path(), options);
}

std::vector<Bytes> table_seeds() {
  const std::string plain =
      "\xEF\xBB\xBFwidth,height,site,label\n1,2.5,north,cat\n-3e2,0.5,\"so,\"\"uth\",dog\n7,8,north,cat\n"
      "1,1,west,dog\n2,2,west,cat\n0,5,north,dog\n9,4,east,cat\n3,3,east,dog\n";
  std::string tabs = plain;
  std::ranges::replace(tabs, ',', '\t');
  const std::string values = "a;b;y\r\n1;2;3.5\r\n4;5;-1\r\n7;8;1e30\r\n6;-0.5;0\r\n9;9;9\r\n";
  std::vector<Bytes> seeds;
  seeds.push_back(told(0, bytes_of_text(plain)));
  seeds.push_back(told(4, bytes_of_text(plain)));
  seeds.push_back(told(16, bytes_of_text(plain)));
  seeds.push_back(told(1, bytes_of_text(tabs)));
  seeds.push_back(told(8, bytes_of_text(values)));
  seeds.push_back(told(2, written(".gz", [&](const auto& path) {
                         data::write_file(path, data::gzip(std::as_bytes(std::span(plain))));
                       })));
  return seeds;
}

void read_image(View input) { data::decode_image("input", std::as_bytes(input)); }

std::vector<Bytes> image_seeds() {
  std::vector<Bytes> seeds;
  for (const std::uint32_t channels : {1U, 3U, 4U}) {
    Picture picture = Picture::of(9, 7, channels, 0);
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
      picture.pixels[i] = static_cast<std::uint8_t>(i * 5);
    }
    seeds.push_back(written(".png", [&](const auto& path) { write_png(path, picture); }));
    if (channels < 4) {
      seeds.push_back(written(".jpg", [&](const auto& path) { write_jpeg(path, picture); }));
      seeds.push_back(written(".jpg", [&](const auto& path) { write_jpeg(path, picture, true); }));
    }
  }
  return seeds;
}

void read_numpy(View input) {
  const auto [how, bytes] = taken_apart(input);
  const ScratchFile file(how % 2 == 0 ? ".npy" : ".npz");
  file.write(bytes);
  data::ReadOptions options{.label = {how % 2 == 0 ? "-1" : "y"}};
  if ((how & 2) != 0) {
    options.task = data::TargetKind::kValues;
  }
  data::read_arrays(file.path(), options);
}

std::vector<Bytes> numpy_seeds() {
  const std::vector<float> numbers{1, 2, 0, 3, 4, 1, 5, 6, 0, 7, 8, 1, 1, 2, 0, 3, 4, 1};
  const std::string rows = npy("<f4", "(6, 3)", numbers), columns = npy("<f4", "(6, 3)", numbers, true);
  const std::vector<std::pair<std::string, std::string>> arrays{
      {"x", npy<std::uint8_t>("|u1", "(6, 2, 2)", std::vector<std::uint8_t>(24, 9))},
      {"y", npy<std::int64_t>("<i8", "(6,)", {0, 1, 0, 1, 0, 1})}};
  const std::vector<std::pair<std::string, std::string>> texts{{"x", npy<double>(">f8", "(6, 1)", {1, 2, 3, 4, 5, 6})},
                                                               {"y", npy_bytes(npy_header("|S3", "(6,)"),
                                                                               "cat"
                                                                               "dog"
                                                                               "cat"
                                                                               "dog"
                                                                               "cat"
                                                                               "dog")}};
  std::vector<Bytes> seeds;
  for (const std::uint8_t how : {std::uint8_t{0}, std::uint8_t{2}}) {
    seeds.push_back(told(how, bytes_of_text(rows)));
    seeds.push_back(told(how, bytes_of_text(columns)));
  }
  for (const auto& archive : {arrays, texts}) {
    for (const bool is_compressed : {false, true}) {
      seeds.push_back(told(1, written(".npz", [&](const auto& path) { write_npz(path, archive, is_compressed); })));
    }
  }
  return seeds;
}

void read_hdf5_data(View input) {
  const ScratchFile file(".h5");
  file.write(input);
  data::read_hdf5_dataset(file.path());
}

std::vector<Bytes> hdf5_data_seeds() {
  return {written(".h5", [](const auto& path) { data::write_hdf5_dataset(path, digits()); })};
}

}  // namespace

std::vector<Reader> data_readers() {
  return {{.name = "idx", .read = read_idx, .seeds = idx_seeds},
          {.name = "table", .read = read_table, .seeds = table_seeds},
          {.name = "image", .read = read_image, .seeds = image_seeds, .repair = repair_png},
          {.name = "numpy", .read = read_numpy, .seeds = numpy_seeds},
          {.name = "hdf5_data", .read = read_hdf5_data, .seeds = hdf5_data_seeds, .repair = repair_hdf5}};
}

}  // namespace detent::fuzz
