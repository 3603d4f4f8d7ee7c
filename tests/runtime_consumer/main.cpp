// Makes a model of three operations by hand, checks it, and runs it: a program that ships a model and nothing else.
#include <detent/runtime/plan.h>
#include <cstdio>
#include <memory>

using namespace detent;

namespace {

std::shared_ptr<const QParams> map(float scale, std::int32_t zero_point) {
  return std::make_shared<const QParams>(QParams::per_tensor({scale, zero_point}, CodeRange()));
}

/// y = 0.5 * x[0] + 0.25 * x[1] + 1 in codes, on maps that hold these numbers exactly.
runtime::Model small_model() {
  const auto weight_map = std::make_shared<const QParams>(QParams::per_tensor({0.25F, 0}, signed_codes(8)));
  runtime::Product product{.shape = kernels::ConvShape::linear(1, 2, 1),
                           .weight = Tensor::from(std::vector<std::int8_t>{2, 1}, {1, 2}).with_qparams(weight_map),
                           .bias = Tensor::from(std::vector<std::int32_t>{4}, {1})};
  runtime::Model model;
  model.inputs = {{"x", {.shape = {2}}}};
  model.nodes = {
      {.name = "codes", .op = runtime::Quantize{}, .inputs = {0}, .output = {{2}, DType::U8, map(1.0F, 128)}},
      {.name = "fc", .op = product, .inputs = {1}, .output = {{1}, DType::U8, map(0.25F, 128)}},
      {.name = "y", .op = runtime::Dequantize{}, .inputs = {2}, .output = {{1}}}};
  model.output = 3;
  return model;
}

}  // namespace

int main() {
  try {
    runtime::Plan plan(small_model(), 2);
    const Tensor& y = plan.run(Tensor::from(std::vector<float>{4, 8, -6, 1}, {2, 2}));
    const float first = y.data<float>()[0], second = y.data<float>()[1];
    std::printf("y = %g, %g; expected 5, -1.75\n", static_cast<double>(first), static_cast<double>(second));
    return first == 5.0F && second == -1.75F ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
