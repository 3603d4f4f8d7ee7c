#include "detent/kernels/product/hybrid/dynamic_product.h"
#include "detent/kernels/product/hybrid/weight_only_product.h"
#include "detent/runtime/plan_step.h"

/// Steps of products of f32 with weights of codes.
namespace detent::runtime {
namespace {

template <typename Kernel>
class HybridStep : public Step {
 public:
  HybridStep(const HybridProduct& product, Kernel kernel, const StepRequest& request)
      : Step(request), shape_(product.shape), kernel_(std::move(kernel)) {}
  Grain grain() const override { return shape_.is_linear() ? Grain::Batch : Grain::Image; }
  std::int64_t parts() const override { return kernel_.parts(); }
  std::int64_t work() const override { return shape_.output_row() * shape_.depth(); }
  void run(Range images, std::int64_t task, Range parts) const override {
    kernel_.run(in<float>(images, task), images.size(), parts, out<float>(images, task));
  }
  std::size_t bytes() const override { return kernel_.bytes(); }
  PackedMemory packed_memory() override { return kernel_.memory_for_tests(); }

 private:
  kernels::ConvShape shape_;
  Kernel kernel_;
};

/// A convolution reads each weight at every pixel, so its kernels in f32 are the faster ones; weights that would take
/// more than this much then stay codes all the same.
constexpr std::int64_t kExpandedBytes = 256 * 1024;
constexpr std::int64_t kManyPixels = 16;

bool is_expanded(const HybridProduct& product) {
  const kernels::ConvShape& s = product.shape;
  const auto bytes = s.weight_elements() * static_cast<std::int64_t>(sizeof(float));
  return !product.dynamic && product.input == DType::F32 && s.out_h() * s.out_w() >= kManyPixels &&
         bytes <= kExpandedBytes;
}

/// The product of f32 with the numbers that the weights stand for.
Product expanded(const HybridProduct& product) {
  const QParams& map = *product.weight.qparams();
  const kernels::ConvShape& s = product.shape;
  Product result{.shape = s,
                 .weight = Tensor::empty(product.weight.shape(), DType::F32),
                 .bias = product.bias,
                 .relu = product.relu};
  const auto codes = product.weight.data<std::int8_t>();
  const auto numbers = result.weight.data<float>();
  for (std::size_t k = 0; k < codes.size(); ++k) {
    const std::size_t output = k / static_cast<std::size_t>(s.depth());
    const std::int64_t channel = static_cast<std::int64_t>(k) % (s.c / s.groups);
    numbers[k] = map.scale_of(output, map.group_of(channel)) * static_cast<float>(codes[k]);
  }
  return result;
}

std::span<const float> bias_of(const HybridProduct& product) {
  return product.bias.defined() ? product.bias.data<float>() : std::span<const float>();
}

template <typename Kernel>
MadeStep step_of(const HybridProduct& product, Kernel kernel, const StepRequest& request) {
  return std::make_unique<HybridStep<Kernel>>(product, std::move(kernel), request);
}

}  // namespace

MadeStep make_hybrid(const HybridProduct& product, const StepRequest& request) {
  if (is_expanded(product)) {
    return make_product(expanded(product), request);
  }
  const auto* const weight = product.weight.data<std::int8_t>().data();
  const QParams& map = *product.weight.qparams();
  const std::span<const float> bias = bias_of(product);
  return product.dynamic
             ? step_of(product,
                       kernels::DynamicProduct(product.shape, weight, map, bias, *product.dynamic, product.relu),
                       request)
             : step_of(product,
                       kernels::WeightOnlyProduct(product.shape, weight, map, bias, product.relu, product.input),
                       request);
}

MadeStep make_pooled_hybrid(const HybridProduct& product, const StepRequest& request) {
  const QParams& map = *product.weight.qparams();
  if (!product.dynamic || !kernels::DynamicProduct::pools(product.shape, map)) {
    return nullptr;
  }
  return step_of(product,
                 kernels::DynamicProduct(product.shape, product.weight.data<std::int8_t>().data(), map,
                                         bias_of(product), *product.dynamic, product.relu, true),
                 request);
}

}  // namespace detent::runtime
