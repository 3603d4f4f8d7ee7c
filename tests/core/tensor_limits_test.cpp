// Shapes that no memory holds, numbers that a type does not have, and tensors without memory.
#include <gmock/gmock.h>

#include <limits>
#include <new>

#include "detent/core/tensor.h"

namespace detent::tensor_limits_test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename Fn>
std::string error_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::bad_alloc&) {
    return "bad_alloc";
  }
  return "no error";
}

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

TEST(TensorLimits, ShapesThatCannotBeAreErrorsEverywhere) {
  const std::vector<Shape> negative = {{-1, 2},  {2, -1}, {-1},
                                       {-2, -3}, {0, -1}, {std::numeric_limits<std::int64_t>::min()}};
  const std::vector<Shape> huge = {{kHuge, 4}, {kHuge, kHuge, kHuge}, {std::int64_t{1} << 32, std::int64_t{1} << 32}};
  Arena arena;
  const Tensor six = Tensor::zeros({6}, DType::F32);
  const auto expect_refused = [&](const Shape& shape, const std::string& why) {
    EXPECT_THAT(error_of([&] { Tensor::empty(shape, DType::F32); }), HasSubstr(why)) << shape;
    EXPECT_THAT(error_of([&] { Tensor::empty(shape, DType::U8, &arena); }), HasSubstr(why)) << shape;
    EXPECT_THAT(error_of([&] { Tensor::zeros(shape, DType::S8); }), HasSubstr(why)) << shape;
    EXPECT_THAT(error_of([&] { Tensor::full(shape, DType::F64, 1.0); }), HasSubstr(why)) << shape;
    EXPECT_THAT(error_of([&] { Tensor::from<float>({1, 2}, shape); }), HasSubstr(why)) << shape;
    EXPECT_THAT(error_of([&] { six.reshape(shape); }), HasSubstr(why)) << shape;
  };
  for (const Shape& shape : negative) {
    expect_refused(shape, "expected extents of at least 0");
  }
  for (const Shape& shape : huge) {
    expect_refused(shape, "more elements than a number of 64 bits counts");
  }
  EXPECT_EQ(Tensor::zeros({kHuge, 0, kHuge}, DType::F32).elements(), 0) << "no elements is a number of them";
}

TEST(TensorLimits, MoreBytesThanThereAreIsNoCrash) {
  for (const Shape& shape : {Shape{kHuge}, Shape{std::numeric_limits<std::int64_t>::max()}}) {
    for (const DType dtype : {DType::F32, DType::F64, DType::U8}) {
      Arena arena;
      EXPECT_THAT(error_of([&] { Tensor::empty(shape, dtype); }), AnyOf("bad_alloc", HasSubstr("bytes")))
          << shape << dtype;
      EXPECT_THAT(error_of([&] { Tensor::empty(shape, dtype, &arena); }), AnyOf("bad_alloc", HasSubstr("bytes")))
          << shape << dtype;
      EXPECT_EQ(arena.bytes_in_use(), 0U) << shape << dtype;
    }
  }
  EXPECT_THROW(allocate_aligned(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  EXPECT_THROW(thread_scratch_of<double>(std::numeric_limits<std::size_t>::max() / 4), std::bad_alloc);
}

TEST(TensorLimits, RowsOfAScalarAreRefused) {
  EXPECT_THROW(Shape{}.row(), Error);
  EXPECT_THROW((void)Shape{}.row_elements(), Error);
}

TEST(TensorLimits, ConversionToIntegersRoundsToEvenAndSaturates) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {0.5,
                                      1.5,
                                      2.5,
                                      -0.5,
                                      -1.5,
                                      2.4999,
                                      -2.7,
                                      126.5,
                                      127.5,
                                      255.5,
                                      300,
                                      -129,
                                      1e30,
                                      -1e30,
                                      infinity,
                                      -infinity,
                                      std::numeric_limits<double>::quiet_NaN()};
  const std::vector<int> u8 = {0, 2, 2, 0, 0, 2, 0, 126, 128, 255, 255, 0, 255, 0, 255, 0, 0};
  const std::vector<int> s8 = {0, 2, 2, 0, -2, 2, -3, 126, 127, 127, 127, -128, 127, -128, 127, -128, 0};
  constexpr int kTop = std::numeric_limits<std::int32_t>::max(), kBottom = std::numeric_limits<std::int32_t>::min();
  const std::vector<int> s32 = {0, 2, 2, 0, -2, 2, -3, 126, 128, 256, 300, -129, kTop, kBottom, kTop, kBottom, 0};
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor f64 = Tensor::from(values, {count});
  for (const DType from : {DType::F64, DType::F32}) {
    const Tensor x = f64.to(from);
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(x.to(DType::U8).data<std::uint8_t>()[i], u8[i]) << from << " to u8, " << values[i];
      EXPECT_EQ(x.to(DType::S8).data<std::int8_t>()[i], s8[i]) << from << " to s8, " << values[i];
      EXPECT_EQ(x.to(DType::S32).data<std::int32_t>()[i], s32[i]) << from << " to s32, " << values[i];
      EXPECT_EQ(Tensor::full({1}, DType::U8, values[i]).item(), u8[i]) << "full u8, " << values[i];
      EXPECT_EQ(Tensor::full({1}, DType::S32, values[i]).item(), s32[i]) << "full s32, " << values[i];
    }
  }
  const Tensor low = Tensor::from<float>({0.5F, 1.5F, -2.5F, 1e4F}, {4});
  for (const DType from : {DType::BF16, DType::F16}) {
    EXPECT_THAT(low.to(from).to(DType::S8).data<std::int8_t>(), ElementsAre(0, 2, -2, 127)) << from;
  }
}

TEST(TensorLimits, ConversionBetweenIntegersSaturates) {
  constexpr int kTop = std::numeric_limits<std::int32_t>::max(), kBottom = std::numeric_limits<std::int32_t>::min();
  const Tensor x = Tensor::from<std::int32_t>({300, -1, 128, -129, kTop, kBottom}, {6});
  EXPECT_THAT(x.to(DType::U8).data<std::uint8_t>(), ElementsAre(255, 0, 128, 0, 255, 0));
  EXPECT_THAT(x.to(DType::S8).data<std::int8_t>(), ElementsAre(127, -1, 127, -128, 127, -128));
  EXPECT_THAT(x.to(DType::S32).data<std::int32_t>(), ElementsAre(300, -1, 128, -129, kTop, kBottom));
  EXPECT_THAT(x.to(DType::F64).data<double>(), ElementsAre(300, -1, 128, -129, kTop, kBottom));
  EXPECT_THAT(Tensor::from<std::int8_t>({-1, 5}, {2}).to(DType::U8).data<std::uint8_t>(), ElementsAre(0, 5));
}

TEST(TensorLimits, CopiesOfNothingAreNothing) {
  const Tensor none;
  Arena arena;
  EXPECT_FALSE(none.clone().defined());
  EXPECT_FALSE(none.to(DType::U8).defined());
  EXPECT_FALSE(none.as(DType::BF16, &arena).defined());
  Tensor one = Tensor::scalar(2.0F);
  EXPECT_THAT(error_of([&] { one.copy_from(none); }), HasSubstr("copy: "));
  EXPECT_THAT(error_of([&] { Tensor().copy_from(one); }), HasSubstr("copy: "));
  EXPECT_THAT(error_of([&] { (void)none.reshape({}); }), HasSubstr("reshape: "));
}

}  // namespace
}  // namespace detent::tensor_limits_test
