#include "detent/core/dtype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/kernels/pointwise.h"

namespace detent::dtype_test {
namespace {

using kernels::testing::error_of;
using ::testing::HasSubstr;

struct Row {
  DType dtype;
  std::size_t bytes;
  bool is_floating;
  const char* name;
};

const std::vector<Row> kRows{{DType::F32, 4, true, "f32"}, {DType::F64, 8, true, "f64"}, {DType::BF16, 2, true, "bf16"},
                             {DType::F16, 2, true, "f16"}, {DType::U8, 1, false, "u8"},  {DType::S8, 1, false, "s8"},
                             {DType::S32, 4, false, "s32"}};

TEST(DTypeTest, NamesSizesAndKinds) {
  for (const Row& row : kRows) {
    EXPECT_EQ(name_of(row.dtype), row.name);
    EXPECT_EQ(dtype_from_name(row.name), row.dtype) << row.name;
    EXPECT_EQ(size_of(row.dtype), row.bytes) << row.name;
    EXPECT_EQ(is_floating(row.dtype), row.is_floating) << row.name;
    std::ostringstream text;
    text << row.dtype;
    EXPECT_EQ(text.str(), row.name);
  }
  EXPECT_THAT(error_of([] { dtype_from_name("float"); }), HasSubstr("got 'float'"));
}

TEST(DTypeTest, TypesOfCpp) {
  EXPECT_EQ(dtype_of<float>, DType::F32);
  EXPECT_EQ(dtype_of<double>, DType::F64);
  EXPECT_EQ(dtype_of<bfloat16>, DType::BF16);
  EXPECT_EQ(dtype_of<float16>, DType::F16);
  EXPECT_EQ(dtype_of<std::uint8_t>, DType::U8);
  EXPECT_EQ(dtype_of<std::int8_t>, DType::S8);
  EXPECT_EQ(dtype_of<std::int32_t>, DType::S32);
}

TEST(DTypeTest, DispatchRealTakesRealsOnly) {
  const auto size = [](auto zero) { return sizeof(zero); };
  EXPECT_EQ(dispatch_real("add", DType::F32, size), 4U);
  EXPECT_EQ(dispatch_real("add", DType::F64, size), 8U);
  EXPECT_THAT(error_of([&] { dispatch_real("add", DType::U8, size); }), HasSubstr("add: expected f32 or f64, got u8"));
}

}  // namespace
}  // namespace detent::dtype_test
