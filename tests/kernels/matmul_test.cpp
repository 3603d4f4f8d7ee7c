#include "tests/kernels/products.h"

namespace detent::kernels::testing::matmul_test {
namespace {

TEST(Matmul, EqualsReferenceInEveryTransposition) {
  for (const auto& [m, k, n] : std::vector<std::array<std::int64_t, 3>>{
           {1, 1, 1}, {1, 7, 5}, {3, 4, 1}, {17, 33, 9}, {64, 64, 64}, {130, 20, 10}, {10, 20, 300}, {300, 70, 300}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        const MatmulShape shape{m, k, n, transpose_a, transpose_b};
        const std::vector<float> a = random_floats(m * k, "a");
        const std::vector<float> b = random_floats(k * n, "b");
        std::vector<float> y(static_cast<std::size_t>(m * n));
        std::vector<float> expected(y.size());
        matmul(shape, DType::F32, bytes_of(a), bytes_of(b), DType::F32, bytes_of(y));
        reference_matmul(shape, a.data(), b.data(), expected.data());
        EXPECT_TRUE(are_near("y", y, expected, 1e-5F))
            << m << " x " << k << " x " << n << ", transposed " << transpose_a << transpose_b;
      }
    }
  }
}

TEST(Matmul, InBF16EqualsReferenceOfRoundedNumbers) {
  for (const auto& [m, k, n] :
       std::vector<std::array<std::int64_t, 3>>{{1, 7, 5}, {17, 33, 9}, {10, 20, 300}, {300, 70, 130}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        const MatmulShape shape{m, k, n, transpose_a, transpose_b};
        const std::vector<bfloat16> a = to_bf16(random_floats(m * k, "a")), b = to_bf16(random_floats(k * n, "b"));
        std::vector<float> y(static_cast<std::size_t>(m * n)), expected(y.size());
        std::vector<bfloat16> low(y.size());
        matmul(shape, DType::BF16, bytes_of(a), bytes_of(b), DType::F32, bytes_of(y));
        matmul(shape, DType::BF16, bytes_of(a), bytes_of(b), DType::BF16, bytes_of(low));
        reference_matmul(shape, to_floats(a).data(), to_floats(b).data(), expected.data());
        EXPECT_TRUE(are_near("y", y, expected, 1e-5F))
            << m << " x " << k << " x " << n << ", transposed " << transpose_a << transpose_b;
        EXPECT_TRUE(are_near("y in bf16", to_floats(low), expected, 0x1p-8F));
      }
    }
  }
}

TEST(Matmul, ThreadsDoNotChangeABit) {
  const MatmulShape shape{500, 300, 400, false, true};
  const std::vector<float> a = random_floats(shape.m * shape.k, "a");
  const std::vector<float> b = random_floats(shape.k * shape.n, "b");
  const auto run = [&](int threads) {
    std::vector<float> y(static_cast<std::size_t>(shape.m * shape.n));
    ThreadPool pool(threads);
    pool.run([&] { matmul(shape, DType::F32, bytes_of(a), bytes_of(b), DType::F32, bytes_of(y)); });
    return y;
  };
  const std::vector<float> one = run(1);
  EXPECT_TRUE(are_equal("2 threads", run(2), one));
  EXPECT_TRUE(are_equal("5 threads", run(5), one));
}

TEST(Matmul, RefusesEmptyExtents) {
  std::byte number{};
  EXPECT_THROW(matmul({.m = 0, .k = 1, .n = 1}, DType::F32, &number, &number, DType::F32, &number), Error);
}

TEST(Matmul, RefusesTypesThatItDoesNotKnow) {
  std::byte number{};
  EXPECT_THROW(matmul({}, DType::F16, &number, &number, DType::F32, &number), Error);
  EXPECT_THROW(matmul({}, DType::F32, &number, &number, DType::BF16, &number), Error);
}

}  // namespace
}  // namespace detent::kernels::testing::matmul_test
