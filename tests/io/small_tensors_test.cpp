// Small tensors lie end to end in one data set a type, and a text says where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "detent/io/tensor_file.h"
#include "detent/io/tensor_file/small.h"
#include "tests/data/temp_folder.h"

namespace detent::small_tensors_test {
namespace {

using hdf5::pack_small;
using hdf5::unpack_small;
using ::testing::HasSubstr;
using Tensors = std::map<std::string, Tensor>;

/// 20 tensors of every type, among them a scalar, one without elements, and one that is too large to lie with others.
Tensors sample() {
  Tensors tensors;
  const std::vector<DType> types{DType::F32, DType::F64, DType::BF16, DType::F16, DType::U8, DType::S8, DType::S32};
  for (std::size_t i = 0; i < 18; ++i) {
    tensors["layer " + std::to_string(i) + "/weight"] =
        Tensor::full({static_cast<std::int64_t>(i % 3 + 1), 2}, types[i % types.size()], static_cast<double>(i));
  }
  tensors["scalar"] = Tensor::scalar(0.25F);
  tensors["nothing"] = Tensor::empty({0, 4}, DType::S8);
  tensors["large"] = Tensor::full({5000}, DType::F32, 3.0);
  return tensors;
}

void expect_same(const Tensors& expected, const Tensors& actual) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    const Tensor& other = actual.at(name);
    ASSERT_EQ(other.dtype(), tensor.dtype()) << name;
    ASSERT_EQ(other.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(other.raw(), tensor.raw(), tensor.bytes()), 0) << name;
  }
}

TEST(SmallTensors, ComeBackUnderTheirNames) {
  const TempFolder folder;
  const TensorFile file{.attributes = {}, .tensors = sample(), .enumerations = {}, .texts = {}, .source = {}};
  file.write(folder / "a.h5");
  expect_same(file.tensors, TensorFile::read(folder / "a.h5").tensors);

  const TensorFile some = TensorFile::read(folder / "a.h5", {"scalar", "layer 3/weight", "none"});
  expect_same({{"scalar", file.tensor("scalar")}, {"layer 3/weight", file.tensor("layer 3/weight")}}, some.tensors);
}

TEST(SmallTensors, TheIndexIsALineForEach) {
  Tensors tensors = sample();
  EXPECT_THAT(pack_small(tensors).index, HasSubstr("f32[] scalar\n"));
  EXPECT_THAT(pack_small(tensors).index, HasSubstr("s8[0,4] nothing\n"));
  EXPECT_THAT(pack_small(tensors).index, ::testing::Not(HasSubstr("large")));
  tensors["two\nlines"] = Tensor::scalar(1.0F);
  EXPECT_THAT(pack_small(tensors).index, ::testing::Not(HasSubstr("two")));
  tensors["small/f32"] = Tensor::scalar(1.0F);
  const TempFolder folder;
  const TensorFile file{.attributes = {}, .tensors = tensors, .enumerations = {}, .texts = {}, .source = {}};
  EXPECT_THAT(error_of([&] { file.write(folder / "a.h5"); }), HasSubstr("'small/f32'"));
}

TEST(SmallTensors, FewAreDataSetsOfTheirOwn) {
  const Tensors few{{"a", Tensor::scalar(1.0F)}, {"b", Tensor::scalar(2.0F)}};
  EXPECT_EQ(pack_small(few).index, "");
  EXPECT_TRUE(pack_small(few).sets.empty());
}

TEST(SmallTensors, AnIndexThatDoesNotFitIsRefused) {
  const Tensors sets{{"small/f32", Tensor::zeros({6}, DType::F32)},
                     {"small/s8", Tensor::zeros({2}, DType::S8)},
                     {"c", Tensor::scalar(1.0F)}};
  Tensors good = sets;
  unpack_small("f32[2,3] a\ns8[2] b\n", {}, good);
  EXPECT_EQ(good.size(), 3U);
  const std::vector<std::pair<const char*, const char*>> damaged{
      {"f32[2,3] a\ns8[2] b", "cut off"},
      {"f32[2,3] a\n", "'small/s8' has 2 elements and 0"},
      {"f32[2,2] a\ns8[2] b\n", "'small/f32' has 6 elements and 4"},
      {"f32[2,4] a\ns8[2] b\n", "'a' does not fit"},
      {"f32[6] a\nf32[1] d\ns8[2] b\n", "'d' does not fit"},
      {"f32[3] a\nf32[3] a\ns8[2] b\n", "two tensors 'a'"},
      {"f32[6] c\ns8[2] b\n", "two tensors 'c'"},
      {"f31[6] a\ns8[2] b\n", "f31"},
      {"u8[2] a\n", "no data set 'small/u8'"},
      {"f32[4294967296,4294967296] a\n", "shape"},
      {"f32[9223372036854775807] a\n", "does not fit"},
      {"f32[99999999999999999999] a\n", "a shape is damaged"},
      {"f32[-6] a\n", "a shape is damaged"},
      {"f32[6,] a\n", "a shape is damaged"},
      {"f32[,6] a\n", "a shape is damaged"},
      {"f32[6 ] a\n", "a shape is damaged"},
      {"f32[6] \n", "expected type[shape] name"},
      {"f32[6]a\n", "expected type[shape] name"},
      {"f32 a\n", "expected type[shape] name"},
      {"] f32[6\n", "expected type[shape] name"},
      {"\n", "expected type[shape] name"},
  };
  for (const auto& [index, message] : damaged) {
    Tensors tensors = sets;
    const std::string error = error_of([&, &text = index] { unpack_small(text, {}, tensors); });
    EXPECT_THAT(error, HasSubstr(message)) << index;
    EXPECT_THAT(error, ::testing::Not(HasSubstr("\n"))) << index;
  }
  Tensors other{{"small/f32", Tensor::zeros({6}, DType::S8)}};
  EXPECT_THAT(error_of([&] { unpack_small("f32[6] a\n", {}, other); }), HasSubstr("no data set 'small/f32' of f32"));
}

/// What the convolutions and layers of a small int8 network have: 74 tensors, of 1 to 4608 bytes.
TEST(SmallTensors, CostAtMostFivePercent) {
  TensorFile file;
  for (int i = 0; i < 9; ++i) {
    std::string node("parameters/conv");
    node.append(std::to_string(i)).append("/");
    const std::int64_t channels = i % 2 == 0 ? 64 : 32;
    file.tensors[node + "weight"] = Tensor::full({channels, 3, 3, 8}, DType::S8, i);
    file.tensors[node + "bias"] = Tensor::full({channels}, DType::S32, 1000.0 + i);
    file.tensors[node + "weight_scale"] = Tensor::full({channels}, DType::F32, 0.01 * i);
    file.tensors[node + "weight_zero_point"] = Tensor::zeros({channels}, DType::S32);
    for (const char* which : {"input", "output"}) {
      file.tensors[node + which + "_scale"] = Tensor::full({1}, DType::F32, 0.1 * i);
      file.tensors[node + which + "_zero_point"] = Tensor::full({1}, DType::S32, i);
    }
  }
  file.tensors["parameters/input_quantize/output_scale"] = Tensor::full({1}, DType::F32, 0.1);
  file.tensors["parameters/input_quantize/output_zero_point"] = Tensor::full({1}, DType::S32, 7);
  ASSERT_EQ(file.tensors.size(), 74U);
  const std::string graph(3000, 'g');
  file.attributes = {{"graph", graph}, {"format", std::string("detent-model")}, {"version", std::int64_t{3}}};
  for (int i = 0; i < 8; ++i) {
    file.attributes["note" + std::to_string(i)] = std::int64_t{i};
  }
  std::size_t payload = graph.size();
  for (const auto& [name, tensor] : file.tensors) {
    payload += tensor.bytes();
  }
  const TempFolder folder;
  file.write(folder / "a.h5");
  expect_same(file.tensors, TensorFile::read(folder / "a.h5").tensors);
  const auto size = static_cast<double>(std::filesystem::file_size(folder / "a.h5"));
  EXPECT_LT(size / static_cast<double>(payload), 1.05) << payload << " bytes of payload";
}

}  // namespace
}  // namespace detent::small_tensors_test
