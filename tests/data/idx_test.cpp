#include "detent/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <span>
#include <string>

#include "detent/data/files.h"
#include "tests/data/temp_folder.h"

namespace detent::data::idx_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::int64_t kImages = 7;

Tensor some_images(std::int64_t count = kImages, std::int64_t height = 5, std::int64_t width = 4) {
  Tensor images = Tensor::empty({count, height, width, 1}, DType::U8);
  std::iota(images.data<std::uint8_t>().begin(), images.data<std::uint8_t>().end(), std::uint8_t{3});
  return images;
}

Tensor some_labels(std::int64_t count = kImages) {
  Tensor labels = Tensor::empty({count}, DType::S32);
  for (std::int64_t i = 0; i < count; ++i) {
    labels.data<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i * 3 % 10);
  }
  return labels;
}

DataSource some_source() {
  DataSource source;
  source.train = {"small train", some_images(), some_labels(), 10};
  source.test = {"small test", some_images(3), some_labels(3), 10};
  return source;
}

template <typename T>
std::vector<T> values(const Tensor& tensor) {
  const auto data = tensor.data<T>();
  return {data.begin(), data.end()};
}

std::string bytes_of_images() {
  const TempFolder folder;
  write_idx_images(folder / "images", some_images());
  return read_text(folder / "images");
}

TEST(Idx, WritesTheLayoutOfTheHeader) {
  const std::string bytes = bytes_of_images();
  EXPECT_EQ(bytes.substr(0, 16), std::string("\0\0\x08\x03\0\0\0\x07\0\0\0\x05\0\0\0\x04", 16));
  EXPECT_EQ(bytes.size(), 16U + 7 * 5 * 4);
  EXPECT_EQ(bytes[16], 3);
}

TEST(Idx, ReadsWhatItWrote) {
  const TempFolder folder;
  for (const char* ending : {"", ".gz"}) {
    write_idx_images(folder / (std::string("images") + ending), some_images());
    write_idx_labels(folder / (std::string("labels") + ending), some_labels());
    const Tensor images = read_idx_images(folder / (std::string("images") + ending));
    const Tensor labels = read_idx_labels(folder / (std::string("labels") + ending));
    EXPECT_EQ(images.shape(), Shape({7, 5, 4, 1})) << ending;
    EXPECT_EQ(values<std::uint8_t>(images), values<std::uint8_t>(some_images())) << ending;
    EXPECT_EQ(values<std::int32_t>(labels), values<std::int32_t>(some_labels())) << ending;
  }
}

TEST(Idx, FindsTheUsualNames) {
  const TempFolder folder;
  EXPECT_FALSE(find_idx(folder.path(), "train-images"));
  EXPECT_FALSE(has_idx_files(folder.path()));
  for (const char* name : {"train-images.idx3-ubyte.gz", "train-images.idx3-ubyte", "train-images-idx3-ubyte.gz",
                           "train-images-idx3-ubyte"}) {
    write_text(folder / name, "");
    EXPECT_EQ(find_idx(folder.path(), "train-images").value(), folder / name);
  }
  EXPECT_TRUE(has_idx_files(folder.path()));
}

TEST(Idx, ReadsAFolder) {
  const TempFolder folder;
  for (const bool is_compressed : {false, true}) {
    const auto path = folder / (is_compressed ? "gz" : "plain");
    write_idx_folder(path, some_source(), is_compressed);
    const DataSource source = read_idx_folder(path);
    EXPECT_EQ(source.train.size(), 7);
    EXPECT_EQ(source.test.size(), 3);
    EXPECT_EQ(source.train.classes, 10);
    EXPECT_EQ(source.name, is_compressed ? "gz" : "plain");
    EXPECT_EQ(source.train.name, source.name + " train");
    EXPECT_EQ(read_idx_folder(path, "small").test.name, "small test");
    EXPECT_FALSE(source.is_builtin);
    EXPECT_THAT(source.description, HasSubstr(path.string()));
  }
}

TEST(Idx, TheSameContentIsTheSameFile) {
  const TempFolder folder;
  write_idx_images(folder / "a.gz", some_images());
  write_idx_images(folder / "b.gz", some_images());
  EXPECT_EQ(read_text(folder / "a.gz"), read_text(folder / "b.gz"));
}

struct Damage {
  const char* name;
  std::string bytes;
  const char* says;
};

TEST(Idx, RefusesDamagedFilesInOneLineThatNamesThem) {
  const std::string good = bytes_of_images();
  const auto bytes_of = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  const std::vector<std::byte> zipped = gzip(bytes_of(good));
  const std::string good_gz(reinterpret_cast<const char*>(zipped.data()), zipped.size());
  const auto with = [](std::string text, std::size_t at, char byte) {
    text.at(at) = byte;
    return text;
  };
  std::string lying = good;
  lying.replace(4, 12, "\x7f\xff\xff\xff\0\0\0\x1c\0\0\0\x1c", 12);  // 2^31 images of 28 x 28
  std::string endless = good;
  endless.replace(4, 12, std::string(12, '\xff'));
  const Damage kCases[] = {
      {"empty", "", "truncated"},
      {"within the magic", good.substr(0, 3), "truncated"},
      {"within the header", good.substr(0, 11), "truncated"},
      {"within the pixels", good.substr(0, good.size() - 1), "truncated: the IDX header promises 140 bytes"},
      {"one byte more", good + "x", "more bytes follow"},
      {"foreign", with(good, 2, 0x0d), "expected magic 0x00000803, got 0x00000d03"},
      {"text", "<html>not found</html>", "not an IDX file of images"},
      {"labels for images", with(good, 3, 0x01), "these are labels"},
      {"no images", with(good, 7, 0), "dimension 0 is 0"},
      {"header promises 1.7 TB", lying, "the IDX header is damaged"},
      {"header overflows 64 bits", endless, "the IDX header is damaged"},
      {"header promises 47 GB", with(good, 4, 0x7f), "truncated: the IDX header promises"},
      {"gzip cut short", good_gz.substr(0, good_gz.size() - 9), "cut short"},
      {"gzip cut in its trailer", good_gz.substr(0, good_gz.size() - 2), "cut short"},
      {"gzip CRC", with(good_gz, good_gz.size() - 8, static_cast<char>(good_gz[good_gz.size() - 8] ^ 1)), "damaged"},
      {"gzip length", with(good_gz, good_gz.size() - 4, static_cast<char>(good_gz[good_gz.size() - 4] ^ 1)), "damaged"},
      {"gzip body", with(good_gz, good_gz.size() / 2, static_cast<char>(good_gz[good_gz.size() / 2] ^ 0x5a)),
       "damaged"},
      {"bytes after gzip", good_gz + "more", "other bytes follow"},
      {"gzip header alone", good_gz.substr(0, 2), "cut short"},
  };
  const TempFolder folder;
  const auto file = folder / "images.bin";
  for (const Damage& damage : kCases) {
    write_text(file, damage.bytes);
    const std::string error = error_of([&] { read_idx_images(file); });
    EXPECT_THAT(error, AllOf(HasSubstr(file.string()), HasSubstr(damage.says))) << damage.name;
    EXPECT_EQ(error.find('\n'), std::string::npos) << damage.name;
  }
  EXPECT_THAT(error_of([&] { read_idx_images(folder / "nowhere"); }), HasSubstr("no such file"));
  EXPECT_THAT(error_of([&] { read_idx_images(folder.path()); }), HasSubstr("not a file"));
}

TEST(Idx, ReadsSeveralGzipMembersAsOne) {
  const std::string good = bytes_of_images();
  const auto bytes = std::as_bytes(std::span(std::string_view(good)));
  std::vector<std::byte> both = gzip(bytes.first(50));
  const std::vector<std::byte> second = gzip(bytes.subspan(50));
  both.insert(both.end(), second.begin(), second.end());
  const TempFolder folder;
  write_file(folder / "images", both);
  EXPECT_EQ(values<std::uint8_t>(read_idx_images(folder / "images")), values<std::uint8_t>(some_images()));
}

TEST(Idx, RefusesFoldersThatDoNotFit) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { read_idx_folder(folder / "nowhere"); }), HasSubstr("no such folder"));
  EXPECT_THAT(error_of([&] { read_idx_folder(folder.path()); }),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("has no train-images-idx3-ubyte")));

  DataSource source = some_source();
  source.train.labels = some_labels(6);
  write_idx_folder(folder.path(), source);
  EXPECT_THAT(error_of([&] { read_idx_folder(folder.path()); }), HasSubstr("7 images but 6 labels"));

  source = some_source();
  source.test.labels.data<std::int32_t>()[2] = 10;
  write_idx_folder(folder.path(), source);
  EXPECT_THAT(error_of([&] { read_idx_folder(folder.path()); }),
              AllOf(HasSubstr("t10k-labels"), HasSubstr("label 10 of example 2 is out of range: expected 0 to 9")));

  source = some_source();
  source.test.examples = some_images(3, 5, 5);
  write_idx_folder(folder.path(), source);
  EXPECT_THAT(error_of([&] { read_idx_folder(folder.path()); }), HasSubstr("training images are [5, 4, 1]"));
}

TEST(Idx, WritesNothingIntoAFolderThatIsNotThere) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { write_idx_images(folder / "no/images", some_images()); }), HasSubstr("no/images"));
  EXPECT_FALSE(std::filesystem::exists(folder / "no"));
}

TEST(Dataset, TakesAndChooses) {
  const Dataset dataset = some_source().train;
  EXPECT_EQ(dataset.take(2).size(), 2);
  EXPECT_EQ(dataset.take(100).size(), 7);
  EXPECT_THROW(dataset.take(0), Error);
  const std::vector<std::int64_t> indices = {6, 0, 6};
  const Dataset chosen = dataset.subset(indices);
  EXPECT_EQ(values<std::int32_t>(chosen.labels), (std::vector<std::int32_t>{8, 0, 8}));
  EXPECT_EQ(chosen.examples.data<std::uint8_t>()[0], static_cast<std::uint8_t>(3 + 6 * 20));
  EXPECT_EQ(chosen.examples.data<std::uint8_t>()[20], 3);
  EXPECT_THROW(dataset.subset(std::vector<std::int64_t>{7}), Error);
}

}  // namespace
}  // namespace detent::data::idx_test
