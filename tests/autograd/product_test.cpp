// The products at the sizes of real layers: f32 and bf16 against f64, with and without the fused ReLU, gradients that
// come as f32 or bf16, and the same bits at any number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "detent/autograd/ops.h"

namespace detent::autograd::product_test {
namespace {

constexpr std::uint64_t kSeed = 20240614;

struct Layer {
  std::string name;
  Shape x, w;
  Conv2dOptions options;  // of a convolution; a linear layer has x of rank 2
};

std::vector<Layer> layers() {
  return {
      {"first convolution", {37, 28, 28, 1}, {32, 3, 3, 1}, {}},
      {"second convolution", {16, 13, 13, 32}, {64, 3, 3, 32}, {}},
      {"strided", {19, 15, 14, 16}, {24, 5, 3, 16}, {.stride_h = 2, .stride_w = 2, .padding = {2, 1}}},
      {"pointwise", {9, 7, 7, 24}, {17, 1, 1, 24}, {}},
      {"depthwise", {11, 12, 12, 32}, {32, 3, 3, 1}, {.padding = 1, .groups = 32}},
      {"wide linear", {128, 1600}, {48, 1600}, {}},
      {"last linear", {130, 128}, {10, 128}, {}},
      {"one row", {1, 33}, {29, 33}, {}},
  };
}

Tensor random_numbers(Shape shape, const std::string& purpose, float range) {
  RandomStream random(kSeed, purpose);
  Tensor t = Tensor::empty(std::move(shape), DType::F32);
  for (float& v : t.data<float>()) {
    v = random.uniform(-range, range);
  }
  return t;
}

struct Result {
  Tensor y, dx, dw, db;
};

Variable apply(const Layer& layer, const Variable& x, const Variable& w, const Variable& b, ProductOptions product) {
  if (layer.x.rank() == 2) {
    return linear(x, w, b, product);
  }
  Conv2dOptions options = layer.options;
  options.product = product;
  return conv2d(x, w, b, options);
}

// `values` is the type of the inputs; dy is given in `gradients`.
Result run(const Layer& layer, DType values, ProductOptions product, DType gradients) {
  const float range = 1.0F / std::sqrt(static_cast<float>(layer.w.row_elements()));
  Arena arena;
  Tape tape(&arena);
  const Variable x = tape.variable(random_numbers(layer.x, "x", 1).to(values));
  const Variable w = tape.variable(random_numbers(layer.w, "w", range).to(values));
  const Variable b = tape.variable(random_numbers({layer.w[0]}, "b", 0.1F).to(values));
  const Variable y = apply(layer, x, w, b, product);
  tape.backward(y, random_numbers(y.shape(), "dy", 1).to(gradients));
  return {y.value(), tape.gradient(x), tape.gradient(w), tape.gradient(b)};
}

// |actual - expected| / |expected|, in the Euclidean norm.
double distance(const Tensor& actual, const Tensor& expected) {
  const Tensor a = actual.to(DType::F64);
  double error = 0, size = 0;
  for (std::size_t i = 0; i < expected.data<double>().size(); ++i) {
    error += std::pow(a.data<double>()[i] - expected.data<double>()[i], 2);
    size += std::pow(expected.data<double>()[i], 2);
  }
  return std::sqrt(error / size);
}

void expect_near(const Result& actual, const Result& expected, double tolerance, const std::string& what) {
  EXPECT_LT(distance(actual.y, expected.y), tolerance) << "y, " << what;
  EXPECT_LT(distance(actual.dx, expected.dx), tolerance) << "dx, " << what;
  EXPECT_LT(distance(actual.dw, expected.dw), tolerance) << "dw, " << what;
  EXPECT_LT(distance(actual.db, expected.db), tolerance) << "db, " << what;
}

TEST(Products, SinglePrecisionAgreesWithDouble) {
  for (const Layer& layer : layers()) {
    for (const bool relu : {false, true}) {
      const std::string what = layer.name + (relu ? " with ReLU" : "") + ", seed " + std::to_string(kSeed);
      expect_near(run(layer, DType::F32, {.relu = relu}, DType::F32),
                  run(layer, DType::F64, {.relu = relu}, DType::F64), relu ? 2e-3 : 2e-6, what);
    }
  }
}

TEST(Products, Bf16AgreesLoosely) {
  for (const Layer& layer : layers()) {
    for (const bool relu : {false, true}) {
      const Result exact = run(layer, DType::F64, {.relu = relu}, DType::F64);
      for (const DType gradients : {DType::F32, DType::BF16}) {
        const Result rounded = run(layer, DType::F32, {.dtype = DType::BF16, .relu = relu}, gradients);
        EXPECT_EQ(rounded.dx.dtype(), DType::F32);
        expect_near(rounded, exact, relu ? 0.1 : 0.01, layer.name + (relu ? " with ReLU" : ""));
      }
    }
  }
}

TEST(Products, TheFusedReluIsTheReluAfterwards) {
  for (const Layer& layer : layers()) {
    for (const DType dtype : {DType::F32, DType::BF16, DType::F16}) {
      const Result fused = run(layer, DType::F32, {.dtype = dtype, .relu = true}, DType::F32);
      Layer same = layer;
      Arena arena;
      Tape tape(&arena);
      const float range = 1.0F / std::sqrt(static_cast<float>(layer.w.row_elements()));
      const Variable x = tape.variable(random_numbers(layer.x, "x", 1));
      const Variable w = tape.variable(random_numbers(layer.w, "w", range));
      const Variable b = tape.variable(random_numbers({layer.w[0]}, "b", 0.1F));
      const Variable y = relu(apply(same, x, w, b, {.dtype = dtype}));
      tape.backward(y, random_numbers(y.shape(), "dy", 1));
      const Result apart{y.value(), tape.gradient(x), tape.gradient(w), tape.gradient(b)};
      for (const auto& [name, one, two] : {std::tuple{"y", fused.y, apart.y},
                                           {"dx", fused.dx, apart.dx},
                                           {"dw", fused.dw, apart.dw},
                                           {"db", fused.db, apart.db}}) {
        const Tensor a32 = one.to(DType::F32), e32 = two.to(DType::F32);
        const auto a = a32.data<float>(), e = e32.data<float>();
        for (std::size_t i = 0; i < e.size(); ++i) {
          ASSERT_EQ(a[i], e[i]) << layer.name << " in " << dtype << ": " << name << ", element " << i;
        }
      }
    }
  }
}

TEST(Products, SameBitsAtAnyNumberOfThreads) {
  const auto expect_same_bits = [](const Tensor& a, const Tensor& b, const std::string& what) {
    EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0) << what;
  };
  for (const Layer& layer : layers()) {
    for (const DType dtype : {DType::F32, DType::BF16, DType::F16}) {
      std::vector<Result> results;
      for (const int threads : {1, 2, 5}) {
        ThreadPool(threads).run(
            [&] { results.push_back(run(layer, DType::F32, {.dtype = dtype, .relu = true}, DType::F32)); });
      }
      for (const Result& result : results) {
        const std::string what = layer.name + " in " + std::string(name_of(dtype));
        expect_same_bits(result.y, results[0].y, "y of " + what);
        expect_same_bits(result.dx, results[0].dx, "dx of " + what);
        expect_same_bits(result.dw, results[0].dw, "dw of " + what);
        expect_same_bits(result.db, results[0].db, "db of " + what);
      }
    }
  }
}

}  // namespace
}  // namespace detent::autograd::product_test
