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

}  // namespace

MadeStep make_hybrid(const HybridProduct& product, const StepRequest& request) {
  const auto* const weight = product.weight.data<std::int8_t>().data();
  const QParams& map = *product.weight.qparams();
  const std::span<const float> bias = product.bias.defined() ? product.bias.data<float>() : std::span<const float>();
  const auto step = [&](auto kernel) -> MadeStep {
    return std::make_unique<HybridStep<decltype(kernel)>>(product, std::move(kernel), request);
  };
  return product.dynamic
             ? step(kernels::DynamicProduct(product.shape, weight, map, bias, *product.dynamic, product.relu))
             : step(kernels::WeightOnlyProduct(product.shape, weight, map, bias, product.relu));
}

}  // namespace detent::runtime
