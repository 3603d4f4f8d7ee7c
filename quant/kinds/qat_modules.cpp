#include "detent/quant/kinds/qat_modules.h"
#include "detent/kernels/codes/quantize.h"

#include <nlohmann/json.hpp>

#include "detent/autograd/ops.h"
#include "detent/quant/kinds/qat_options.h"
#include "detent/quant/quantizers/measure.h"

namespace detent::quant {
namespace {

using nlohmann::json;

/// Observes and quantizes what `make(map, seen)` computes: with the range as it stands, or, for a first batch and where
/// the current range is asked for, with the range that has the batch in it. While measuring it counts instead.
template <typename Make>
Variable observe_and_make(const nn::Context& context, const nn::Module& owner, FakeQuant& output, RangeUse range,
                          std::int64_t examples, Make&& make) {
  if (output.is_measuring() && !context.training) {
    return measured_codes(output, make);
  }
  const bool observe = context.training && output.is_observing();
  const bool observe_first = observe && (!output.has_range() || range == RangeUse::Current);
  if (observe_first) {
    MinMax seen;
    make(std::make_shared<const QParams>(QParams::per_tensor({}, output.codes())), &seen);
    output.observe(seen, examples);
  }
  output.check_range(owner.name());
  const bool observe_after = observe && !observe_first;
  MinMax seen;
  Variable y = make(output.qparams(), observe_after ? &seen : nullptr);
  if (observe_after) {
    output.observe(seen, examples);
  }
  return y;
}

Variable calibrated(FakeQuant& output, Variable y) {
  output.observe(kernels::min_max(y.value().data<float>()), y.shape()[0]);
  return y;
}

json output_options(const FakeQuant& output, RangeUse range) {
  json options{{"activation", to_json(output.config(), output.state())}};
  options["range"] = range == RangeUse::Current ? "current" : "previous";
  return options;
}

struct OutputOptions {
  ActivationOptions activation;
  RangeUse range;
};

/// Reads what output_options wrote, and takes it out of `options`.
OutputOptions take_output_options(json& options, std::string_view kind) {
  OutputOptions read{activation_options_from_json(object_at(options, "activation", kind)), RangeUse::Previous};
  const json range = options.value("range", json("previous"));
  check(range == "previous" || range == "current", kind, ": range: expected previous or current, got ", range.dump());
  read.range = range == "current" ? RangeUse::Current : RangeUse::Previous;
  options.erase("activation");
  options.erase("range");
  return read;
}

template <typename M>
std::shared_ptr<nn::Module> without_options(std::string_view kind, const json& options) {
  OptionReader(kind, options).finish();
  return std::make_shared<M>();
}

}  // namespace

json Quantize::options() const { return output_options(output_, range_); }

std::shared_ptr<nn::Module> Quantize::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "quantize");
  OptionReader("quantize", rest).finish();
  return std::make_shared<Quantize>(read.activation.config, read.activation.state, read.range);
}

nn::Variable Quantize::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  const Variable x = autograd::widen(inputs[0]);
  if (output_.is_calibrating()) {
    return calibrated(output_, x);
  }
  return observe_and_make(
      context, *this, output_, range_, x.shape()[0],
      [&](const std::shared_ptr<const QParams>& map, MinMax* seen) { return quantize_op(x, map, seen); });
}

json Dequantize::options() const { return json::object(); }

std::shared_ptr<nn::Module> Dequantize::from_options(const json& options) {
  return without_options<Dequantize>("dequantize", options);
}

nn::Variable Dequantize::forward(nn::Context&, std::span<const nn::Variable> inputs) {
  return inputs[0].value().qparams() ? dequantize_op(inputs[0]) : inputs[0];
}

json QatAdd::options() const {
  json options = output_options(output_, range_);
  options["relu"] = relu_;
  return options;
}

std::shared_ptr<nn::Module> QatAdd::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "qat_add");
  OptionReader reader("qat_add", rest);
  const bool relu = reader.boolean("relu", false);
  reader.finish();
  return std::make_shared<QatAdd>(read.activation.config, read.activation.state, relu, read.range);
}

Shape QatAdd::output_shape(std::span<const Shape> inputs) const {
  check(inputs[0] == inputs[1], "add: expected two inputs of one shape, got ", inputs[0], " and ", inputs[1]);
  return inputs[0];
}

nn::Variable QatAdd::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  if (output_.is_calibrating()) {
    const Variable sum = autograd::add(inputs[0], inputs[1]);
    return calibrated(output_, relu_ ? autograd::relu(sum) : sum);
  }
  return observe_and_make(context, *this, output_, range_, inputs[0].shape()[0],
                          [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
                            return add_codes(inputs[0], inputs[1], map, relu_, seen);
                          });
}

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

AverageGeometry AverageGeometry::from_json(const json& json) {
  const auto geometry = read_options<AverageGeometry>("average pool", json);
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
  if (output_.is_calibrating()) {
    Tensor y = context.tape.empty(result.batched(shape.n));
    kernels::avg_pool_forward(shape, x.value().data<float>().data(), y.data<float>().data());
    return calibrated(output_, context.tape.constant(std::move(y)));
  }
  return observe_and_make(context, *this, output_, range_, inputs[0].shape()[0],
                          [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
                            return average_codes(x, shape, result, map, seen);
                          });
}

json CodeRelu::options() const { return json::object(); }

std::shared_ptr<nn::Module> CodeRelu::from_options(const json& options) {
  return without_options<CodeRelu>("code_relu", options);
}

nn::Variable CodeRelu::forward(nn::Context&, std::span<const nn::Variable> inputs) {
  return inputs[0].value().qparams() ? relu_codes(inputs[0]) : autograd::relu(inputs[0]);
}

json CodeDropout::options() const { return {{"p", p_}}; }

std::shared_ptr<nn::Module> CodeDropout::from_options(const json& options) {
  OptionReader reader("code_dropout", options);
  const double p = reader.real("p", 0.5);
  reader.finish();
  check(p >= 0.0 && p < 1.0, "code_dropout: p: expected 0 <= p < 1, got ", p);
  return std::make_shared<CodeDropout>(p);
}

nn::Variable CodeDropout::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  if (!context.training || p_ == 0.0 || !inputs[0].value().qparams()) {
    return inputs[0];
  }
  return dropout_codes(inputs[0], p_, nn::random_of(context, *this, "dropout"));
}

}  // namespace detent::quant
