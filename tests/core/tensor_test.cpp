#include "detent/core/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace detent::tensor_test {
namespace {

using ::testing::ElementsAre;

TEST(Tensor, AnUndefinedTensorHasNothing) {
  const Tensor tensor;
  EXPECT_FALSE(tensor.defined());
  EXPECT_EQ(tensor.elements(), 0);
  EXPECT_TRUE(Tensor::empty({0, 3}, DType::F32).defined()) << "no elements is not undefined";
}

TEST(Tensor, MemoryIsAligned) {
  Arena arena;
  for (const std::int64_t n : {1, 3, 17, 1000}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Tensor::empty({n}, DType::U8).raw()) % kAlignment, 0u) << n;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Tensor::empty({n}, DType::U8, &arena).raw()) % kAlignment, 0u) << n;
  }
}

TEST(Tensor, ReadingAsAnotherTypeIsRefused) {
  const Tensor tensor = Tensor::from<float>({1, 2}, {2});
  EXPECT_THAT(tensor.data<float>(), ElementsAre(1, 2));
  EXPECT_THROW(tensor.data<double>(), Error);
  EXPECT_THROW(tensor.data<std::int32_t>(), Error);
  EXPECT_THROW(tensor.item(), Error);
  EXPECT_THROW(Tensor::from<float>({1, 2, 3}, {2}), Error);
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor a = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor view = a.reshape({6}), copy = a.clone();
  EXPECT_TRUE(a.shares_memory());
  EXPECT_FALSE(copy.shares_memory());
  a.data<float>()[0] = 9;
  EXPECT_EQ(view.data<float>()[0], 9);
  EXPECT_EQ(copy.data<float>()[0], 1);
  EXPECT_THROW(a.reshape({4}), Error);
  EXPECT_THROW(copy.copy_from(view), Error) << "another shape";
  copy.copy_from(a);
  EXPECT_EQ(copy.data<float>()[0], 9);
}

TEST(Tensor, RowsAreViews) {
  Tensor a = Tensor::from<std::int32_t>({1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor middle = a.rows(1, 3);
  EXPECT_EQ(middle.shape(), (Shape{2, 2}));
  EXPECT_THAT(middle.data<std::int32_t>(), ElementsAre(3, 4, 5, 6));
  middle.data<std::int32_t>()[0] = 7;
  EXPECT_EQ(a.data<std::int32_t>()[2], 7);
  EXPECT_EQ(a.rows(1, 1).elements(), 0);
  EXPECT_THROW(a.rows(1, 4), Error);
  EXPECT_THROW(a.rows(-1, 1), Error);
  EXPECT_THROW(Tensor::scalar(1.0F).rows(0, 1), Error);
  a = Tensor();
  EXPECT_EQ(middle.data<std::int32_t>()[3], 6) << "a view keeps the memory";
}

TEST(Tensor, ConversionRoundsToNearestTiesToEven) {
  // 1 + 2^-8 lies halfway between two bf16 numbers, as does 1 + 3 * 2^-8.
  const Tensor x = Tensor::from<float>({1.0F + 0x1p-8F, 1.0F + 3 * 0x1p-8F, -2.5F}, {3});
  EXPECT_THAT(x.to(DType::BF16).to(DType::F32).data<float>(), ElementsAre(1.0F, 1.0F + 0x1p-6F, -2.5F));
  EXPECT_THAT(x.to(DType::F64).data<double>(), ElementsAre(1.0 + 0x1p-8, 1.0 + 3 * 0x1p-8, -2.5));
}

TEST(Tensor, AsConvertsOnlyWhatIsOfAnotherType) {
  Arena arena;
  const Tensor x = Tensor::from<float>({1.0F, -2.5F, 0x1.01p0F}, {3});
  EXPECT_EQ(x.as(DType::F32, &arena).raw(), x.raw());
  const Tensor low = x.as(DType::BF16, &arena);
  EXPECT_EQ(static_cast<float>(low.data<bfloat16>()[1]), -2.5F);
  EXPECT_EQ(static_cast<float>(low.data<bfloat16>()[2]), 1.0F) << "a tie goes to the even neighbour";
  EXPECT_EQ(arena.bytes_in_use(), 64U);
  EXPECT_THROW(x.as(DType::U8, &arena), Error);
}

TEST(Tensor, QParamsTravelWithTheCodes) {
  const auto map = std::make_shared<const QParams>(QParams::per_tensor({0.1F, 5}, unsigned_codes(8)));
  const Tensor codes = Tensor::zeros({4, 2}, DType::U8).with_qparams(map);
  EXPECT_EQ(codes.qparams(), map);
  EXPECT_EQ(codes.reshape({8}).qparams(), map);
  EXPECT_EQ(codes.rows(0, 2).qparams(), map);
  EXPECT_EQ(codes.clone().qparams(), map);
  EXPECT_EQ(Tensor::zeros({1}, DType::U8).qparams(), nullptr);
}

TEST(Tensor, ItemReadsEveryType) {
  for (const DType type : {DType::F32, DType::F64, DType::BF16, DType::F16, DType::U8, DType::S8, DType::S32}) {
    EXPECT_EQ(Tensor::full({1, 1}, type, 3).item(), 3) << type;
  }
}

}  // namespace
}  // namespace detent::tensor_test
