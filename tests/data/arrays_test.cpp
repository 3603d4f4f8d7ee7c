#include "detent/data/formats/numpy/arrays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "detent/data/formats/numpy/array_store.h"
#include "detent/data/formats/numpy/npy.h"
#include "tests/data/npy_files.h"

namespace detent::data::arrays_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

NpyArray parse(const std::string& bytes) {
  const auto* const begin = reinterpret_cast<const std::byte*>(bytes.data());
  return NpyArray::parse("a.npy", {begin, begin + bytes.size()});
}
std::string error_in(const std::string& bytes) {
  return error_of([&] { parse(bytes); });
}

TEST(Npy, ReadsElementsOfEveryType) {
  EXPECT_THAT(parse(npy<float>("<f4", "(2,)", {1.5F, -2})).numbers(), ElementsAre(1.5, -2));
  EXPECT_THAT(parse(npy<double>("<f8", "(1,)", {0.1})).numbers(), ElementsAre(0.1));
  EXPECT_THAT(parse(npy<std::uint16_t>("<f2", "(2,)", {0x3C00, 0xC000})).numbers(), ElementsAre(1, -2));
  EXPECT_THAT(parse(npy<std::int8_t>("|i1", "(2,)", {-1, 5})).numbers(), ElementsAre(-1, 5));
  EXPECT_THAT(parse(npy<std::uint8_t>("|u1", "(2,)", {255, 5})).numbers(), ElementsAre(255, 5));
  EXPECT_THAT(parse(npy<std::int16_t>("<i2", "(1,)", {-300})).numbers(), ElementsAre(-300));
  EXPECT_THAT(parse(npy<std::int32_t>("<i4", "(1,)", {-70000})).numbers(), ElementsAre(-70000));
  EXPECT_THAT(parse(npy<std::int64_t>("<i8", "(1,)", {std::int64_t{1} << 40})).numbers(), ElementsAre(1099511627776.0));
  EXPECT_THAT(parse(npy<std::uint8_t>("|b1", "(2,)", {1, 0})).numbers(), ElementsAre(1, 0));
  EXPECT_THAT(parse(npy_bytes(npy_header(">i4", "(1,)"), std::string("\0\0\1\2", 4))).numbers(), ElementsAre(258));
  EXPECT_THAT(parse(npy_bytes(npy_header("|S3", "(2,)"), std::string("ab\0xyz", 6))).texts(), ElementsAre("ab", "xyz"));
  EXPECT_THAT(parse(npy<std::uint32_t>("<U2", "(2,)", {'a', 0, 0xE9, 0x1F600})).texts(),
              ElementsAre("a", "\xC3\xA9\xF0\x9F\x98\x80"));
  EXPECT_THAT(parse(npy<std::int64_t>("<i8", "(2,)", {3, -4})).texts(), ElementsAre("3", "-4"));
}

TEST(Npy, FortranOrderIsTurned) {
  // [[1, 2, 3], [4, 5, 6]], column by column.
  const NpyArray array = parse(npy<float>("<f4", "(2, 3)", {1, 4, 2, 5, 3, 6}, true));
  EXPECT_THAT(std::as_const(array).to_f32().data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  std::vector<std::uint8_t> columns;
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 2; ++i) {
        columns.push_back(static_cast<std::uint8_t>(100 * i + 10 * j + k));
      }
    }
  }
  const Tensor cube = parse(npy("|u1", "(2, 3, 4)", columns, true)).to_u8();
  EXPECT_EQ(cube.shape(), Shape({2, 3, 4}));
  EXPECT_EQ(cube.data<std::uint8_t>()[(1 * 3 + 2) * 4 + 3], 123);
  EXPECT_EQ(cube.data<std::uint8_t>()[(0 * 3 + 1) * 4 + 2], 12);
}

TEST(Npy, HostileHeadersAreRefusedBeforeMemoryIsAskedFor) {
  const std::string four(16, '\0');
  EXPECT_THAT(error_in(npy_bytes(npy_header("<f4", "(-1, 4)"), four)), HasSubstr("extent 0 of its shape is -1"));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<f4", "(99999999999999999999,)"), four)), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<f4", "(1099511627776, 1099511627776)"), four)),
              HasSubstr("promises more than the 16 bytes"));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<f4", "(1000000000,)"), four)),
              HasSubstr("promises more than the 16 bytes"));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<f4", "(3,)"), four)), HasSubstr("more bytes follow"));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<f4", "(4,"), four)), HasSubstr("header is damaged"));
  EXPECT_THAT(error_in(npy_bytes("{'descr': '<f4'}", four)), HasSubstr("header is damaged"));
  EXPECT_THAT(error_in(npy_bytes("{'descr': '<f4', 'descr': '<f4', 'shape': (4,)}", four)),
              HasSubstr("header is damaged"));
  EXPECT_THAT(error_in(npy_bytes(npy_header("|O", "(2,)"), four)),
              HasSubstr("holds Python objects, which are never loaded"));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<c8", "(2,)"), four)), HasSubstr("numpy's type \"<c8\""));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<f3", "(2,)"), four)), HasSubstr("numpy's type \"<f3\""));
  EXPECT_THAT(error_in(npy_bytes(npy_header("<U99999999999", "(2,)"), four)), HasSubstr("numpy's type"));
  EXPECT_THAT(error_in(npy_bytes("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}", four)),
              HasSubstr("an array of structures"));
  EXPECT_THAT(error_in("\x93NUMPX"), HasSubstr("is no .npy array"));
  const std::string whole = npy<float>("<f4", "(2, 2)", {1, 2, 3, 4});
  EXPECT_EQ(error_in(whole), "no error");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(error_in(whole.substr(0, length)), HasSubstr("a.npy: ")) << length;
  }
}

class Arrays : public ::testing::Test {
 protected:
  static std::string images(int count, const char* shape) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < count; ++i) {
      pixels.insert(pixels.end(), 4, static_cast<std::uint8_t>(i));
    }
    return npy("|u1", shape, pixels);
  }
  static std::string labels(int count, int classes = 2) {
    std::vector<std::int64_t> numbers;
    for (int i = 0; i < count; ++i) {
      numbers.push_back(i % classes);
    }
    std::string shape(1, '(');
    shape.append(std::to_string(count)).append(",)");
    return npy("<i8", shape, numbers);
  }
  DataSource read(const ReadOptions& options = {}) { return read_arrays(folder / "a.npz", options); }
  std::string error(const std::vector<std::pair<std::string, std::string>>& arrays, const ReadOptions& options = {}) {
    write_npz(folder / "a.npz", arrays);
    return error_of([&] { read(options); });
  }
  TempFolder folder;
};

TEST_F(Arrays, AnArchiveOfPartsIsTakenAsItIs) {
  for (const bool is_compressed : {false, true}) {
    write_npz(folder / "a.npz",
              {{"x_train", images(6, "(6, 2, 2)")},
               {"y_train", labels(6)},
               {"x_test", images(2, "(2, 2, 2)")},
               {"y_test", labels(2)}},
              is_compressed);
    ASSERT_TRUE(is_arrays(folder / "a.npz"));
    const DataSource source = read();
    EXPECT_EQ(source.train.examples.shape(), Shape({6, 2, 2, 1}));
    EXPECT_EQ(source.test.size(), 2);
    EXPECT_THAT(source.train.class_names, ElementsAre("0", "1"));
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(source.train.labels.data<std::int32_t>()[i], source.train.examples.data<std::uint8_t>()[4 * i] % 2);
    }
  }
}

TEST_F(Arrays, OtherNamesAndTypesAreKnown) {
  write_npz(folder / "a.npz", {{"Train_Images", images(6, "(6, 4)")}, {"train_labels", labels(6)}});
  EXPECT_EQ(read({.test_share = 0.4}).train.example_shape(), Shape({4}));
  std::vector<double> x(20);
  std::iota(x.begin(), x.end(), 0.0);
  write_npz(folder / "a.npz",
            {{"X", npy("<f8", "(10, 2)", x)},
             {"y", npy<std::uint32_t>("<U1", "(10,)", {'n', 'y', 'n', 'y', 'n', 'y', 'n', 'y', 'n', 'y'})},
             {"age", labels(10, 10)}});
  const DataSource source = read({.slices = {"age"}});
  EXPECT_THAT(source.train.class_names, ElementsAre("n", "y"));
  EXPECT_EQ(source.train.examples.dtype(), DType::F32);
  for (std::size_t i = 0; i < 8; ++i) {
    const float first = source.train.examples.data<float>()[2 * i];
    EXPECT_EQ(source.train.columns[0].numbers[i], static_cast<double>(first) / 2);
    EXPECT_EQ(source.train.labels.data<std::int32_t>()[i], static_cast<int>(first / 2) % 2);
  }
}

TEST_F(Arrays, ClassNamesAndTasksAreTaken) {
  const std::string names = npy<std::uint32_t>("<U3", "(3,)", {'c', 'a', 't', 'd', 'o', 'g', 'e', 'l', 'k'});
  write_npz(folder / "a.npz", {{"x", images(10, "(10, 4)")}, {"y", labels(10)}, {"class_names", names}});
  EXPECT_THAT(read().train.class_names, ElementsAre("cat", "dog", "elk"));
  EXPECT_THAT(error({{"x", images(10, "(10, 4)")}, {"y", labels(10, 5)}, {"class_names", names}}),
              HasSubstr("element 3 is 3, but class_names has 3 names"));
  std::vector<float> targets(20, 0.5F);
  write_npz(folder / "a.npz", {{"x", images(10, "(10, 4)")}, {"y", npy("<f4", "(10, 2)", targets)}});
  EXPECT_EQ(read().train.targets, TargetKind::kValues);
  EXPECT_EQ(read().train.classes, 2);
  EXPECT_THAT(
      error({{"x", images(10, "(10, 4)")}, {"y", npy("<f4", "(10, 2)", targets)}}, {.task = TargetKind::kFlags}),
      HasSubstr("is 0.5: expected 0 or 1"));
  EXPECT_THAT(error({{"x", images(10, "(10, 4)")}, {"y", npy("<f4", "(10,)", std::vector<float>(10, 0.5F))}}),
              HasSubstr("element 0 is 0.5, which is no class; write task = \"values\""));
}

TEST_F(Arrays, WhatIsNoDataSetIsSaid) {
  EXPECT_THAT(error({{"z", labels(4)}}), HasSubstr("has no array of examples (x or images); arrays are: z"));
  EXPECT_THAT(error({{"x", images(4, "(4, 4)")}}), HasSubstr("has no array of labels; name it with label = \"NAME\""));
  EXPECT_THAT(error({{"x", labels(4)}, {"y", labels(4)}}), HasSubstr("expected [N, ...], got [4]; write x[:, None]"));
  EXPECT_THAT(error({{"x", images(4, "(4, 4)")}, {"y", labels(5)}}), HasSubstr("4 examples but 5 labels"));
  const std::vector<std::uint8_t> pixels(4 * 3 * 5 * 5);
  EXPECT_THAT(error({{"x", npy("|u1", "(4, 3, 5, 5)", pixels)}, {"y", labels(4)}}),
              HasSubstr("looks like channels first"));
  std::vector<float> x(16, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(error({{"x", npy("<f4", "(4, 4)", x)}, {"y", labels(4)}}), HasSubstr("number 0 of example 0 is nan"));
}

TEST_F(Arrays, OneFileOfRowsHasItsLabelsInAColumn) {
  std::vector<double> rows;
  for (int i = 0; i < 10; ++i) {
    rows.insert(rows.end(), {1.0 * i, 2.0 * i, i % 2 == 0 ? 3.0 : 7.0});
  }
  write_text(folder / "rows.npy", npy("<f8", "(10, 3)", rows));
  EXPECT_THAT(error_of([&] { read_arrays(folder / "rows.npy"); }), HasSubstr("which column is the label?"));
  const DataSource source = read_arrays(folder / "rows.npy", {.label = {"-1"}});
  EXPECT_THAT(source.train.class_names, ElementsAre("3", "7"));
  EXPECT_EQ(source.train.example_shape(), Shape({2}));
  EXPECT_EQ(read_arrays(folder / "rows.npy", {.label = {"0"}, .task = TargetKind::kValues}).train.targets,
            TargetKind::kValues);
  EXPECT_THAT(error_of([&] { read_arrays(folder / "rows.npy", {.label = {"3"}}); }), HasSubstr("has no column 3"));
  write_text(folder / "none.npy", npy<float>("<f4", "(0, 3)", {}));
  EXPECT_THAT(error_of([&] { read_arrays(folder / "none.npy", {.label = {"-1"}}); }),
              HasSubstr("has no rows, got [0, 3]"));
  write_text(folder / "labels.npy", npy<float>("<f4", "(3, 1)", {1, 2, 1}));
  EXPECT_THAT(error_of([&] { read_arrays(folder / "labels.npy", {.label = {"0"}}); }),
              HasSubstr("has no columns beside the labels"));
}

TEST_F(Arrays, AFolderOfArraysIsAnArchive) {
  write_text(folder / "X.npy", images(10, "(10, 4)"));
  write_text(folder / "y.npy", labels(10));
  ASSERT_TRUE(is_arrays(folder.path()));
  EXPECT_EQ(read_arrays(folder.path()).train.size(), 8);
}

TEST_F(Arrays, DamagedArchivesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> files{{"x.npy", images(10, "(10, 4)")}, {"y.npy", labels(10)}};
  for (const bool is_compressed : {false, true}) {
    const std::string whole = zip_bytes(files, is_compressed);
    for (std::size_t length = 0; length < whole.size(); length += 7) {
      write_text(folder / "a.npz", whole.substr(0, length));
      EXPECT_THAT(error_of([&] { read(); }), HasSubstr("a.npz: ")) << length;
    }
    // Every byte of the first array's file changed: found by its header, its check sum or its directory.
    for (std::size_t at = 30; at < 30 + 5 + 40; ++at) {
      std::string bad = whole;
      bad[at] = static_cast<char>(bad[at] ^ 0x55);
      write_text(folder / "a.npz", bad);
      if (at >= 30 + 5) {
        EXPECT_THAT(error_of([&] { read(); }), HasSubstr("a.npz: \"x.npy\"")) << at;
      }
    }
  }
}

TEST_F(Arrays, AnArchiveThatPromisesMoreThanItPacksIsRefused) {
  std::string bomb = zip_bytes({{"x.npy", images(10, "(10, 4)")}, {"y.npy", labels(10)}}, true);
  const std::size_t entry = bomb.find(little(0x02014b50, 4));
  bomb.replace(entry + 24, 4, little(0xFFFFFFF0, 4));
  write_text(folder / "a.npz", bomb);
  EXPECT_THAT(error_of([&] { read(); }), HasSubstr("the archive is damaged: it claims 4294967280 bytes of"));
  bomb.replace(entry + 24, 4, little(100000, 4));
  write_text(folder / "a.npz", bomb);
  EXPECT_THAT(error_of([&] { read(); }), HasSubstr("damaged or cut short"));
  bomb.replace(entry + 42, 4, little(0xFFFFFF00, 4));
  write_text(folder / "a.npz", bomb);
  EXPECT_THAT(error_of([&] { read(); }), HasSubstr("beyond its end"));
}

}  // namespace
}  // namespace detent::data::arrays_test
