// matmul in the types of mixed precision, against double precision on the numbers as they are rounded.
#include <gtest/gtest.h>

#include <cmath>

#include "detent/autograd/ops.h"

namespace detent::autograd::matmul_test {
namespace {

Tensor random_numbers(Shape shape, const std::string& purpose, DType dtype) {
  RandomStream random(12, purpose);
  Tensor t = Tensor::empty(std::move(shape), DType::F32);
  for (float& v : t.data<float>()) {
    v = random.uniform(-1.0F, 1.0F);
  }
  return t.to(dtype);
}

struct Result {
  Tensor y, da, db;
};

Result run(const Tensor& a, const Tensor& b, const Tensor& dy, DType dtype) {
  Tape tape;
  const Variable va = tape.variable(a), vb = tape.variable(b);
  const Variable y = matmul(va, vb, dtype);
  tape.backward(y, dy);
  return {y.value(), tape.gradient(va), tape.gradient(vb)};
}

void expect_near(const char* what, const Tensor& actual, const Tensor& expected, double tolerance) {
  const Tensor got = actual.to(DType::F64);
  double largest = 0.0;
  for (const double e : expected.data<double>()) {
    largest = std::max(largest, std::abs(e));
  }
  for (std::size_t i = 0; i < expected.data<double>().size(); ++i) {
    ASSERT_NEAR(got.data<double>()[i], expected.data<double>()[i], tolerance * largest) << what << " at " << i;
  }
}

TEST(MatmulPrecision, MultipliesTheRoundedNumbers) {
  for (const auto& [dtype, rounding] : {std::pair{DType::F32, 1e-5}, {DType::BF16, 0x1p-8}, {DType::F16, 0x1p-11}}) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor a = random_numbers({33, 50}, "a", DType::F32), b = random_numbers({50, 21}, "b", DType::F32),
                 dy = random_numbers({33, 21}, "dy", DType::F32);
    const auto rounded = [d = dtype](const Tensor& x) { return x.to(d).to(DType::F64); };
    const Result want = run(rounded(a), rounded(b), rounded(dy), DType::F32);
    const Result got = run(a, b, dtype == DType::BF16 ? dy.to(DType::BF16) : dy, dtype);
    EXPECT_EQ(got.y.dtype(), dtype == DType::BF16 ? DType::BF16 : DType::F32);
    EXPECT_EQ(got.da.dtype(), DType::F32) << "the value's type";
    expect_near("y", got.y, want.y, rounding);
    expect_near("da", got.da, want.da, rounding);
    expect_near("db", got.db, want.db, rounding);
  }
}

TEST(MatmulPrecision, TakesBF16AsItIs) {
  const Tensor a = random_numbers({9, 12}, "a", DType::BF16), b = random_numbers({12, 7}, "b", DType::F32);
  const Result got = run(a, b, random_numbers({9, 7}, "dy", DType::BF16), DType::BF16);
  EXPECT_EQ(got.da.dtype(), DType::BF16);
  EXPECT_EQ(got.db.dtype(), DType::F32);
}

TEST(MatmulPrecision, GradientsOfF16AreRoundedToIt) {
  Tape tape;
  const Variable a = tape.variable(Tensor::full({1, 1}, DType::F32, 0x1p-14)),
                 b = tape.variable(Tensor::full({1, 1}, DType::F32, 1.0));
  tape.backward(matmul(a, b, DType::F16), Tensor::full({1, 1}, DType::F32, 0x1p-12));
  EXPECT_EQ(tape.gradient(a).data<float>()[0], 0x1p-12F);
  EXPECT_EQ(tape.gradient(b).data<float>()[0], 0.0F) << "2^-26 is below the range of f16";
}

TEST(MatmulPrecision, OtherTypesAreRefused) {
  Tape tape;
  const Variable a = tape.variable(Tensor::full({1, 1}, DType::F32, 1.0));
  EXPECT_THROW(matmul(a, a, DType::U8), Error);
}

}  // namespace
}  // namespace detent::autograd::matmul_test
