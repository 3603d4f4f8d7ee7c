#include "detent/quant/kinds/average_pool.h"

#include "detent/quant/kinds/observed_output.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {

using nlohmann::json;

kernels::PoolShape AverageGeometry::pool_shape(const Shape& example, std::int64_t batch) const {
  check(example.rank() == 3, "average pool: expected images [H, W, C], got ", example);
  if (kernel == 0) {
    return kernels::PoolShape::global(batch, example[0], example[1], example[2]);
  }
  return nn::AvgPool2d({.kernel = kernel, .stride = stride, .padding = padding}).pool_shape(example, batch);
}

Shape AverageGeometry::output_shape(const Shape& example) const {
  const kernels::PoolShape shape = pool_shape(example, 1);
  return kernel == 0 ? Shape{shape.c} : Shape{shape.out_h(), shape.out_w(), shape.c};
}

void AverageGeometry::describe(OptionList& list) {
  list.extent("kernel", kernel, {}, "the window; 0: the whole image");
  list.extent("stride", stride, {}, "from window to window");
  list.padding("padding", padding, "lines and columns around the image");
}

json AverageGeometry::to_json() const { return write_options(*this); }

AverageGeometry AverageGeometry::from_json(const json& options) {
  const auto geometry = read_options<AverageGeometry>("average pool", options);
  check_options("average pool", geometry);
  return geometry;
}

json QatAvgPool2d::options() const {
  json options = output_options(output_, range_);
  options["geometry"] = geometry_.to_json();
  return options;
}

std::shared_ptr<nn::Module> QatAvgPool2d::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "qat_avg_pool2d");
  const AverageGeometry geometry = AverageGeometry::from_json(object_at(rest, "geometry", "qat_avg_pool2d"));
  rest.erase("geometry");
  OptionReader("qat_avg_pool2d", rest).finish();
  return std::make_shared<QatAvgPool2d>(geometry, read.activation.config, read.activation.state, read.range);
}

nn::Variable QatAvgPool2d::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  const nn::Variable& x = inputs[0];
  const kernels::PoolShape shape = geometry_.pool_shape(x.shape().row(), x.shape()[0]);
  const Shape result = geometry_.output_shape(x.shape().row());
  const auto real_mean = [shape, result, arena = context.tape.arena()](const Tensor& values) {
    Tensor y = Tensor::empty(result.batched(shape.n), DType::F32, arena);
    kernels::avg_pool_forward(shape, values.data<float>().data(), y.data<float>().data());
    return y;
  };
  if (output_.is_calibrating()) {
    return calibrated(output_, context.tape.constant(real_mean(x.value())));
  }
  nn::Variable y = observe_and_make(
      context, *this, output_, range_, inputs[0].shape()[0],
      [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
        return average_codes(x, shape, result, map, seen);
      },
      [real_mean, x = x.value(), arena = context.tape.arena()] {
        return real_mean(on_inference_tape(arena, [&](nn::Tape& tape) { return dequantize_op(tape.constant(x)); }));
      });
  const std::shared_ptr<const QParams> map = y.value().qparams();
  return learned_codes(context, *this, output_, std::move(y),
                       [shape, x = x.value(), map](const autograd::Backward& backward) {
                         return step_sums_of_average(x, shape, *map, backward.dy());
                       });
}

namespace {

AverageGeometry geometry_of(const nn::Module& module) {
  if (const auto* const pool = nn::exactly<const nn::AvgPool2d>(&module)) {
    return {pool->settings().kernel, pool->settings().stride, pool->settings().padding};
  }
  return {};
}

void prepare_average(Preparation& pass, std::size_t index, const QConfig& config) {
  pass.add({index},
           std::make_shared<QatAvgPool2d>(geometry_of(*pass.node(index).module), config.activation, pass.state(),
                                          config.range),
           {pass.codes_of(pass.node(index).inputs[0], config)}, true);
}

runtime::Pool average(const AverageGeometry& geometry, const runtime::ValueType& input) {
  return {.kind = runtime::PoolKind::Average, .shape = geometry.pool_shape(input.shape, 1)};
}

Lowered lower_average_pool(const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs) {
  return {.op = average(geometry_of(*node.module), inputs[0])};
}

Lowered lower_average_pool_codes(const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs) {
  return {.op = average(module_of<QatAvgPool2d>(node).geometry(), inputs[0]),
          .kind = "int8_avg_pool2d",
          .how = "requantized mean"};
}

}  // namespace

Kinds average_pool_kinds() {
  Kind windows = kind_of_class<nn::AvgPool2d>();
  windows.prepare = &prepare_average;
  windows.lower = &lower_average_pool;
  Kind whole = kind_of_class<nn::GlobalAvgPool2d>();
  whole.prepare = &prepare_average;
  whole.lower = &lower_average_pool;
  Kind on_codes = kind_of_class<QatAvgPool2d>();
  on_codes.is_prepared = true;
  on_codes.lower = &lower_average_pool_codes;
  return {{"avg_pool2d", windows}, {"global_avg_pool2d", whole}, {"qat_avg_pool2d", on_codes}};
}

}  // namespace detent::quant
