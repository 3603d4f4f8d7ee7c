#pragma once

#include "detent/nn/modules/pool2d.h"
#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {

/// The geometry of an average: over windows, or, with kernel 0, over the whole image.
struct AverageGeometry {
  std::int64_t kernel = 0;
  std::int64_t stride = 0;
  std::int64_t padding = 0;

  kernels::PoolShape pool_shape(const Shape& example, std::int64_t batch) const;
  Shape output_shape(const Shape& example) const;
  nlohmann::json to_json() const;
  static AverageGeometry from_json(const nlohmann::json& options);
};

/// The mean of codes over windows or over the whole image. While calibrating, of real numbers.
class QatAvgPool2d : public nn::Module, public QuantizedOutput {
 public:
  QatAvgPool2d(const AverageGeometry& geometry, const QuantizerSpec& config, FakeQuant::State state,
               RangeUse range = RangeUse::Previous)
      : geometry_(geometry), output_(config, state), range_(range) {}
  FakeQuant& output() override { return output_; }
  const AverageGeometry& geometry() const { return geometry_; }

  std::string_view kind() const override { return "qat_avg_pool2d"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return geometry_.output_shape(inputs[0]); }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }

 private:
  AverageGeometry geometry_;
  FakeQuant output_;
  RangeUse range_;
};

}  // namespace detent::quant
