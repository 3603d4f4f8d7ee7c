// HDF5 data sets as h5py writes them: other element types, other layouts, other things beside the images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "detent/data/hdf5_dataset.h"
#include "tests/data/h5py.h"
#include "tests/data/temp_folder.h"

namespace detent::data::foreign_hdf5_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Python that writes 20 training and 10 test examples; `images` and `labels` are numpy of `n` examples numbered `i`.
std::string parts(const std::filesystem::path& path, const std::string& images, const std::string& labels,
                  const std::string& more = "pass") {
  return on_file(path,
                 "for part, n in (('train', 20), ('test', 10)):\n"
                 "  i = np.arange(n)\n"
                 "  f[part + '/images'] = " +
                     images + "\n  f[part + '/labels'] = " + labels + "\n" + more);
}

constexpr const char* kImages = "np.zeros((n, 6, 5), 'u1')";
constexpr const char* kLabels = "i % 3";

TEST(ForeignHdf5, WhatStandsBesideTheImagesIsNotRead) {
  const TempFolder folder;
  if (!run_h5py(parts(folder / "a.h5", kImages, kLabels,
                      R"(f['train/names'] = np.array(['a'] * 20, dtype=h5py.string_dtype())
f['fixed'] = np.array([b'ab', b'c'])
f['train/boxes'] = np.zeros(20, dtype=[('x', 'f4'), ('y', 'i4')])
f['seen'] = np.array([True, False])
f['huge'] = np.array([1 << 40])
f.create_dataset('lie', shape=(1 << 40,), dtype='f4', chunks=(1024,))
f['again'] = f['/'])"))) {
    GTEST_SKIP() << "no h5py";
  }
  const DataSource source = read_hdf5_dataset(folder / "a.h5");
  EXPECT_EQ(source.train.examples.shape(), Shape({20, 6, 5, 1}));
  EXPECT_EQ(source.test.classes, 3);
  EXPECT_EQ(source.name, "a");
}

TEST(ForeignHdf5, LabelsAreTakenWhereTheyAreWholeNumbers) {
  const TempFolder folder;
  const std::vector<std::string> types{"?", "i1", "u1", "i2", "u2", ">i2", "i4", "u4", "i8", "u8"};
  std::string script;
  for (const std::string& type : types) {
    script += parts(folder / (type + ".h5"), kImages, "(i % 2).astype('" + type + "')");
  }
  if (!run_h5py(script)) {
    GTEST_SKIP() << "no h5py";
  }
  for (const std::string& type : types) {
    SCOPED_TRACE(type);
    const DataSource source = read_hdf5_dataset(folder / (type + ".h5"));
    const auto labels = std::as_const(source.train.labels).data<std::int32_t>();
    for (std::size_t i = 0; i < labels.size(); ++i) {
      ASSERT_EQ(labels[i], static_cast<std::int32_t>(i % 2)) << "example " << i;
    }
    EXPECT_EQ(source.train.classes, 2);
    EXPECT_EQ(source.description.find("false 0, true 1") != std::string::npos, type == "?") << source.description;
  }
}

struct Bad {
  const char* name;
  std::string images;
  std::string labels;
  std::vector<std::string> says;
};

TEST(ForeignHdf5, WhatIsRefusedIsRefusedWithTheMend) {
  const Bad kCases[] = {
      {"channels first",
       "np.zeros((n, 3, 6, 5), 'u1')",
       kLabels,
       {"/train/images", "got [20, 3, 6, 5]", "images.transpose(0, 2, 3, 1)", "layout"}},
      {"one channel first", "np.zeros((n, 1, 6, 5), 'u1')", kLabels, {"images.transpose(0, 2, 3, 1)"}},
      {"flat", "np.zeros((n, 30), 'u1')", kLabels, {"got u8 [20, 30]", "images.reshape(-1, H, W)"}},
      {"reals", "np.zeros((n, 6, 5), 'f4')", kLabels, {"got f32", "(images * 255).round().astype('uint8')"}},
      {"doubles", "np.zeros((n, 6, 5), 'f8')", kLabels, {"got f64", "(images * 255).round().astype('uint8')"}},
      {"wide", "np.zeros((n, 6, 5), 'i8')", kLabels, {"got s32", "images.astype('uint8')"}},
      {"signed", "np.zeros((n, 6, 5), 'i1')", kLabels, {"got s8", "images.astype('uint8')"}},
      {"booleans", "np.zeros((n, 6, 5), '?')", kLabels, {"of booleans", "images.astype('uint8') * 255"}},
      {"real labels", kImages, "(i % 3).astype('f4')", {"/train/labels", "got f32", "labels.astype('int32')"}},
      {"one-hot labels", kImages, "np.eye(3, dtype='u1')[i % 3]", {"got u8 [20, 3]", "labels.argmax(1)"}},
      {"labels in a column", kImages, "(i % 3)[:, None]", {"got s32 [20, 1]", "labels[:, 0]"}},
      {"texts", kImages, "np.array([b'cat'] * n)", {"all labels are \"cat\"", "at least 2 classes"}},
      {"no class numbers", kImages, "i + 4_000_000", {"got 4000019", "return_inverse=True"}},
      {"labels all below 0", kImages, "i - 100", {"label -100 of example 0 is out of range: expected 0 to 0"}},
      {"a label below 0", kImages, "(i % 3) - 1", {"label -1 of example 0 is out of range"}},
      {"a label beyond 32 bits", kImages, "np.where(i == 7, 1 << 40, 0)", {"labels", "element 7 is 1099511627776"}},
      {"other classes in the test", kImages, "i % 3 + (20 - n)", {"(test): label 10 of example 0 is out of range"}},
  };
  const TempFolder folder;
  std::string script;
  for (const Bad& bad : kCases) {
    script += parts(folder / bad.name, bad.images, bad.labels);
  }
  if (!run_h5py(script)) {
    GTEST_SKIP() << "no h5py";
  }
  for (const Bad& bad : kCases) {
    SCOPED_TRACE(bad.name);
    const auto path = folder / bad.name;
    const std::string error = error_of([&] { read_hdf5_dataset(path); });
    for (const std::string& text : bad.says) {
      EXPECT_THAT(error, AllOf(HasSubstr(path.string()), HasSubstr(text)));
    }
  }
}

TEST(ForeignHdf5, FeaturesAreRealNumbersOfAnyRank) {
  const TempFolder folder;
  const auto features = [&](const std::string& name, const std::string& values, const std::string& more = "pass") {
    return on_file(folder / name,
                   "for part, n in (('train', 20), ('test', 10)):\n  i = np.arange(n)\n  f[part + '/features'] = " +
                       values + "\n  f[part + '/labels'] = i % 3\n" + more);
  };
  if (!run_h5py(features("rows.h5", "(np.arange(n * 4).reshape(n, 4) / 8).astype('f4')") +
                features("signals.h5", "np.zeros((n, 30, 2), 'f4')") + features("bytes.h5", "np.zeros((n, 4), 'u1')") +
                features("doubles.h5", "np.zeros((n, 4))") + features("one.h5", "np.zeros(n, 'f4')") +
                features("both.h5", "np.zeros((n, 4), 'f4')", "f['test/images'] = np.zeros((10, 4, 4), 'u1')") +
                features("nan.h5", "np.full((n, 4), np.nan, 'f4')"))) {
    GTEST_SKIP() << "no h5py";
  }
  const DataSource rows = read_hdf5_dataset(folder / "rows.h5");
  EXPECT_EQ(rows.train.examples.shape(), Shape({20, 4}));
  EXPECT_EQ(rows.test.example_shape(), Shape({4}));
  EXPECT_EQ(std::as_const(rows.train.examples).data<float>()[13], 1.625F);
  EXPECT_THAT(rows.description, HasSubstr("20 training and 10 test examples"));
  EXPECT_EQ(read_hdf5_dataset(folder / "signals.h5").train.example_shape(), Shape({30, 2}));
  EXPECT_EQ(read_hdf5_dataset(folder / "bytes.h5").train.examples.dtype(), DType::U8);
  const auto error = [&](const char* name) { return error_of([&] { read_hdf5_dataset(folder / name); }); };
  EXPECT_THAT(error("doubles.h5"), AllOf(HasSubstr("/train/features"), HasSubstr("features.astype('float32')")));
  EXPECT_THAT(error("one.h5"), HasSubstr("write features[:, None]"));
  EXPECT_THAT(error("both.h5"), HasSubstr("has both /test/images and /test/features"));
  EXPECT_THAT(error("nan.h5"), HasSubstr("number 0 of example 0 is nan"));
  write_hdf5_dataset(folder / "again.h5", rows);
  const DataSource again = read_hdf5_dataset(folder / "again.h5");
  EXPECT_EQ(again.train.examples.shape(), rows.train.examples.shape());
  EXPECT_EQ(std::as_const(again.train.examples).data<float>()[13], 1.625F);
}

TEST(ForeignHdf5, LabelsMayBeTextsAndColumnsStandBesideThem) {
  const TempFolder folder;
  const auto names = [](const std::string& type) {
    return "np.array(['dog' if k % 3 == 0 else 'cat' for k in i], dtype=" + type + ")";
  };
  const std::string columns =
      "for part, n in (('train', 20), ('test', 10)):\n  f[part + '/age'] = np.arange(n) * 0.5\n"
      "  f[part + '/site'] = np.array(['a', 'b'] * (n // 2), dtype=h5py.string_dtype())\n"
      "  f[part + '/seen'] = np.arange(n) % 2 == 0";
  if (!run_h5py(parts(folder / "variable.h5", kImages, names("h5py.string_dtype()"), columns) +
                parts(folder / "fixed.h5", kImages, names("'S5'"), columns) +
                parts(folder / "numbers.h5", kImages, "i % 2",
                      "f['class_names'] = np.array(['no', 'yes', 'perhaps'], dtype=h5py.string_dtype())"))) {
    GTEST_SKIP() << "no h5py";
  }
  for (const char* const name : {"variable.h5", "fixed.h5"}) {
    const DataSource source = read_hdf5_dataset(folder / name, {.slices = {"age", "site", "seen"}});
    EXPECT_THAT(source.train.class_names, ::testing::ElementsAre("cat", "dog")) << name;
    EXPECT_EQ(source.test.labels.data<std::int32_t>()[3], 1);
    EXPECT_EQ(source.test.labels.data<std::int32_t>()[4], 0);
    ASSERT_EQ(source.train.columns.size(), 3U);
    EXPECT_EQ(source.train.columns[0].numbers[3], 1.5);
    EXPECT_EQ(source.train.columns[1].texts[1], "b");
    EXPECT_EQ(source.train.columns[2].numbers[2], 1.0);
  }
  EXPECT_EQ(read_hdf5_dataset(folder / "numbers.h5").test.classes, 3);
  EXPECT_EQ(read_hdf5_dataset(folder / "numbers.h5").test.class_name(2), "perhaps");
  // A model's classes are found by their names.
  const DataSource known = read_hdf5_dataset(folder / "numbers.h5", {.class_names = {"yes", "no"}});
  EXPECT_THAT(known.test.class_names, ::testing::ElementsAre("yes", "no"));
  EXPECT_EQ(known.test.labels.data<std::int32_t>()[0], 1);
  EXPECT_EQ(known.test.labels.data<std::int32_t>()[1], 0);
  EXPECT_THAT(error_of([&] {
                read_hdf5_dataset(folder / "numbers.h5", {.class_names = {"yes", "never"}});
              }),
              HasSubstr("/train/labels: element 0: \"no\" is none of the classes"));
  EXPECT_THAT(error_of([&] { read_hdf5_dataset(folder / "fixed.h5", {.slices = {"height"}}); }),
              HasSubstr("slices: expected a data set /train/height"));
}

TEST(ForeignHdf5, ValuesAreTakenAndOneFileOfExamplesIsSplit) {
  const TempFolder folder;
  if (!run_h5py(on_file(folder / "rows.h5",
                        "f['features'] = np.arange(80).reshape(20, 4).astype('f4')\nf['labels'] = np.arange(20) % 2\n"
                        "f['price'] = np.arange(20) * 0.5\nf['both'] = np.arange(40).reshape(20, 2)"))) {
    GTEST_SKIP() << "no h5py";
  }
  const DataSource classes = read_hdf5_dataset(folder / "rows.h5");
  EXPECT_EQ(classes.train.size(), 16);
  EXPECT_EQ(classes.test.size(), 4);
  const DataSource price = read_hdf5_dataset(folder / "rows.h5", {.label = {"price"}, .task = TargetKind::kValues});
  EXPECT_EQ(price.train.classes, 1);
  EXPECT_EQ(price.train.labels.data<float>()[0], price.train.examples.data<float>()[0] / 8);
  EXPECT_EQ(read_hdf5_dataset(folder / "rows.h5", {.label = {"both"}, .task = TargetKind::kValues}).test.classes, 2);
}

TEST(ForeignHdf5, ALayoutThatIsToldIsBelieved) {
  const TempFolder folder;
  if (!run_h5py(parts(folder / "a.h5", "np.zeros((n, 1, 6, 5), 'u1')", kLabels, "f.attrs['layout'] = 'NHWC'"))) {
    GTEST_SKIP() << "no h5py";
  }
  const DataSource source = read_hdf5_dataset(folder / "a.h5");
  EXPECT_EQ(source.train.example_shape(), Shape({1, 6, 5}));
  write_hdf5_dataset(folder / "b.h5", source);
  EXPECT_EQ(read_hdf5_dataset(folder / "b.h5").test.example_shape(), Shape({1, 6, 5}));
  run_h5py(on_file(folder / "a.h5", "f.attrs['layout'] = 'NCHW'"));
  EXPECT_THAT(error_of([&] { read_hdf5_dataset(folder / "a.h5"); }),
              AllOf(HasSubstr("layout: expected \"NHWC\", got \"NCHW\""), HasSubstr("transpose(0, 2, 3, 1)")));
}

}  // namespace
}  // namespace detent::data::foreign_hdf5_test
