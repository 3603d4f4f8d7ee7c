#include "detent/nn/modules/softmax.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/kernels/codes/softmax_codes.h"
#include "detent/quant/kinds/observed_output.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {
namespace {

using nlohmann::json;

/// Rows of codes on any map to probabilities. Their map is no matter of what is observed: b bits have the scale 2^-b
/// and the zero point 0.
class QatSoftmax : public nn::Module, public QuantizedOutput {
 public:
  QatSoftmax(const QuantizerSpec& config, FakeQuant::State state) : output_(config, state) {}
  FakeQuant& output() override { return output_; }

  std::string_view kind() const override { return "qat_softmax"; }
  std::string_view label() const override { return layer_.label(); }
  json options() const override { return output_options(output_, RangeUse::Previous); }
  static std::shared_ptr<nn::Module> from_options(const json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return layer_.output_shape(inputs); }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }

 private:
  nn::Softmax layer_;
  FakeQuant output_;
};

std::shared_ptr<nn::Module> QatSoftmax::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "qat_softmax");
  OptionReader("qat_softmax", rest).finish();
  return std::make_shared<QatSoftmax>(read.activation.config, read.activation.state);
}

/// Rows of `x`, in slices on all threads: body(first element, rows).
template <typename Body>
void for_each_slice_of_rows(const Tensor& x, std::int64_t channels, Body&& body) {
  const Slices slices = slice_by_bytes(x.elements() / channels, channels);
  parallel_slices(slices.count,
                  [&](std::int64_t slice) { body(slices[slice].begin * channels, slices[slice].size()); });
}

nn::Variable softmax_of_codes(const nn::Variable& x, const std::shared_ptr<const QParams>& map) {
  const std::int64_t channels = x.shape().extents().back();
  const kernels::SoftmaxTable table = kernels::softmax_table(map_of(x.value(), "softmax").scale);
  const kernels::SoftmaxCodes softmax{table.data(), map->tensor(), map->codes};
  Tensor y = Tensor::empty(x.shape(), DType::U8, x.tape().arena());
  for_each_slice_of_rows(y, channels, [&](std::int64_t first, std::int64_t rows) {
    kernels::softmax_codes(softmax, x.value().data<std::uint8_t>().data() + first, rows, channels,
                           y.data<std::uint8_t>().data() + first);
  });
  // dx = p (dy - sum dy p), dy where the code of p before clamping lies in range
  return x.tape().record(
      "softmax", y.with_qparams(map), {x}, [codes = x.value(), table, map, channels](autograd::Backward& backward) {
        backward.grad(0, [&] {
          const Tensor dy = backward.dy().as(DType::F32, backward.arena());
          Tensor dx = Tensor::empty(dy.shape(), DType::F32, backward.arena());
          for_each_slice_of_rows(dx, channels, [&](std::int64_t first, std::int64_t rows) {
            kernels::softmax_codes_backward({table.data(), map->tensor(), map->codes},
                                            codes.data<std::uint8_t>().data() + first, dy.data<float>().data() + first,
                                            rows, channels, dx.data<float>().data() + first);
          });
          return dx;
        });
      });
}

nn::Variable QatSoftmax::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  if (output_.is_calibrating()) {
    return layer_.forward(context, inputs);
  }
  // That the largest code stands for a little less than 1 is no range too narrow: nothing counts as clipped.
  const auto make = [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
    if (seen != nullptr) {
      seen->include(output_.range());
    }
    return softmax_of_codes(inputs[0], map);
  };
  return output_.is_measuring() && !context.training ? measured_codes(output_, make) : make(output_.qparams(), nullptr);
}

void prepare_softmax(Preparation& pass, std::size_t index, const QConfig& config) {
  QuantizerSpec output = config.activation;
  output.range = {"fixed", {0.0, 1.0 - std::ldexp(1.0, -output.grid.bits)}};
  output.map.clear();
  output.gradient = {};
  pass.add({index}, std::make_shared<QatSoftmax>(output, pass.state()),
           {pass.codes_of(pass.node(index).inputs[0], config)}, true);
}

Lowered lower_softmax(const nn::Graph::Node&, std::span<const runtime::ValueType>) {
  return {.op = runtime::Softmax()};
}

Lowered lower_softmax_codes(const nn::Graph::Node&, std::span<const runtime::ValueType> inputs) {
  const kernels::SoftmaxTable table = kernels::softmax_table(inputs[0].qparams->tensor().scale);
  return {.op = runtime::Softmax{.table = Tensor::from(std::vector<std::int32_t>(table.begin(), table.end()), {256})},
          .kind = "int8_softmax",
          .how = "a table of exponentials"};
}

}  // namespace

Kinds softmax_kinds() {
  Kind in_float = kind_of_class<nn::Softmax>();
  in_float.prepare = &prepare_softmax;
  in_float.lower = &lower_softmax;
  Kind on_codes = kind_of_class<QatSoftmax>();
  on_codes.is_prepared = true;
  on_codes.lower = &lower_softmax_codes;
  return {{"softmax", in_float}, {"qat_softmax", on_codes}};
}

}  // namespace detent::quant
