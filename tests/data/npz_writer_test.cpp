#include "detent/data/formats/numpy/npz_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/data/formats/numpy/array_store.h"
#include "tests/data/temp_folder.h"
#include "tests/interchange/python.h"

namespace detent::data::npz_writer_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void write_all(const std::filesystem::path& path) {
  NpzWriter file(path);
  file.add("f4", Tensor::from<float>({1.5F, -2.0F, 0.1F, 4.0F, 5.0F, 6.0F}, {2, 3}));
  file.add("f8", Tensor::from<double>({0.1}, {1}));
  file.add("f2", Tensor::from<float16>({float16(0.5F), float16(-3.0F)}, {2}));
  file.add("bf16", Tensor::from<bfloat16>({bfloat16(0.5F), bfloat16(-3.0F)}, {2}));
  file.add("layer/u1", Tensor::from<std::uint8_t>({0, 255}, {2, 1}));
  file.add("i1", Tensor::from<std::int8_t>({-128, 127}, {1, 2}));
  file.add("i4", Tensor::from<std::int32_t>({-70000}, {}));
  file.add("none", Tensor::empty({0, 3}, DType::F32));
  file.add_text("layout", "pytorch");
  file.commit();
}

TEST(NpzWriter, WhatIsWrittenIsRead) {
  const TempFolder folder;
  write_all(folder / "a.npz");
  ArrayStore store(folder / "a.npz");
  EXPECT_THAT(store.names(), ElementsAre("f4", "f8", "f2", "bf16", "layer/u1", "i1", "i4", "none", "layout"));
  const NpyArray f4 = store.read("f4");
  EXPECT_EQ(f4.shape(), Shape({2, 3}));
  EXPECT_EQ(f4.dtype(), "<f4");
  EXPECT_THAT(std::as_const(f4).to_f32().data<float>(), ElementsAre(1.5F, -2.0F, 0.1F, 4.0F, 5.0F, 6.0F));
  EXPECT_THAT(store.read("f8").numbers(), ElementsAre(0.1));
  EXPECT_EQ(store.read("f2").dtype(), "<f2");
  EXPECT_THAT(store.read("f2").numbers(), ElementsAre(0.5, -3.0));
  EXPECT_EQ(store.read("bf16").dtype(), "<f4");
  EXPECT_THAT(store.read("bf16").numbers(), ElementsAre(0.5, -3.0));
  EXPECT_EQ(store.read("layer/u1").shape(), Shape({2, 1}));
  EXPECT_THAT(store.read("layer/u1").numbers(), ElementsAre(0, 255));
  EXPECT_THAT(store.read("i1").numbers(), ElementsAre(-128, 127));
  EXPECT_EQ(store.read("i4").shape(), Shape());
  EXPECT_THAT(store.read("i4").numbers(), ElementsAre(-70000));
  EXPECT_EQ(store.read("none").shape(), Shape({0, 3}));
  EXPECT_THAT(store.read("layout").texts(), ElementsAre("pytorch"));
}

TEST(NpzWriter, TheSameArraysGiveTheSameBytes) {
  const TempFolder folder;
  write_all(folder / "a.npz");
  write_all(folder / "b.npz");
  EXPECT_EQ(read_text(folder / "a.npz"), read_text(folder / "b.npz"));
}

TEST(NpzWriter, NothingIsThereBeforeItIsWhole) {
  const TempFolder folder;
  {
    NpzWriter file(folder / "a.npz");
    file.add("x", Tensor::scalar(1.0F));
    EXPECT_EQ(error_of([&] { file.add("x", Tensor::scalar(2.0F)); }),
              (folder / "a.npz").string() + ": two arrays are called \"x\"");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THAT(error_of([&] { NpzWriter file(folder / "no" / "a.npz"); }), HasSubstr("a.npz"));
}

TEST(NpzWriter, NumpyReadsIt) {
  const TempFolder folder;
  const std::optional<std::string> python = interchange::python_with({"numpy"});
  if (!python) {
    GTEST_SKIP() << "no numpy";
  }
  write_all(folder / "a.npz");
  interchange::run_python(*python, R"(
import numpy as np, zipfile
a = np.load('a.npz', allow_pickle=False)
assert zipfile.ZipFile('a.npz').testzip() is None
assert a['f4'].dtype == np.float32 and a['f4'].tolist() == np.float32([[1.5, -2, 0.1], [4, 5, 6]]).tolist()
assert a['f8'].dtype == np.float64 and a['f8'].tolist() == [0.1]
assert a['f2'].dtype == np.float16 and a['f2'].tolist() == [0.5, -3]
assert a['layer/u1'].dtype == np.uint8 and a['layer/u1'].tolist() == [[0], [255]]
assert a['i1'].dtype == np.int8 and a['i1'].tolist() == [[-128, 127]]
assert a['i4'].dtype == np.int32 and a['i4'].shape == () and int(a['i4']) == -70000
assert a['none'].shape == (0, 3) and a['layout'].item() == b'pytorch'
)",
                          folder.path());
}

}  // namespace
}  // namespace detent::data::npz_writer_test
