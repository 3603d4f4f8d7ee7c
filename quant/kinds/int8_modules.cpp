#include "detent/quant/kinds/int8_modules.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/io/option_reader.h"

namespace detent::quant {
namespace {

using nlohmann::json;

Tensor scale_tensor(float scale) { return Tensor::full({1}, DType::F32, static_cast<double>(scale)); }
Tensor zero_point_tensor(std::int32_t zero_point) { return Tensor::full({1}, DType::S32, zero_point); }

ScaleZero map_from(const Tensor& scale, const Tensor& zero_point) {
  return {scale.data<float>()[0], zero_point.data<std::int32_t>()[0]};
}

int bits_of(OptionReader& reader, const char* key) {
  const std::int64_t bits = reader.integer(key, 8);
  check(2 <= bits && bits <= 8, key, ": expected 2 to 8, got ", bits);
  return static_cast<int>(bits);
}

}  // namespace

FixedMap::FixedMap(int bits) : bits_(bits), scale_(scale_tensor(1.0F)), zero_point_(zero_point_tensor(0)) {}

FixedMap::FixedMap(const FakeQuant& output)
    : bits_(output.config().grid.bits),
      scale_(scale_tensor(output.map().scale)),
      zero_point_(zero_point_tensor(output.map().zero_point)) {}

ScaleZero FixedMap::map() const { return map_from(scale_, zero_point_); }

std::shared_ptr<const QParams> FixedMap::qparams() const {
  return std::make_shared<const QParams>(QParams::per_tensor(map(), codes()));
}

std::vector<nn::Slot> FixedMap::slots() {
  const Shape one{1};
  return {{"output_scale", &scale_, nullptr, one}, {"output_zero_point", &zero_point_, nullptr, one, DType::S32}};
}

Int8Product::Int8Product(const Options& options) : options_(options), output_(options.output_bits) {}

Int8Product::Int8Product(const Options& options, State state, const FakeQuant& output)
    : options_(options),
      weight_(state.weight.codes),
      weight_scale_(
          Tensor::from(state.weight.qparams.scale, {static_cast<std::int64_t>(state.weight.qparams.channels())})),
      weight_zero_point_(Tensor::zeros(weight_scale_.shape(), DType::S32)),
      bias_(std::move(state.bias)),
      input_scale_(scale_tensor(state.input.scale)),
      input_zero_point_(zero_point_tensor(state.input.zero_point)),
      output_(output) {}

std::int64_t Int8Product::bound() const {
  return sum_bound(weight_, map_from(input_scale_, input_zero_point_),
                   bias_.defined() ? bias_.data<std::int32_t>() : std::span<const std::int32_t>());
}

QParams Int8Product::weight_qparams() const {
  QParams qparams;
  qparams.axis = options_.is_per_channel ? 0 : -1;
  qparams.codes = weight_codes();
  std::ranges::copy(weight_scale_.data<float>(), std::back_inserter(qparams.scale));
  std::ranges::copy(weight_zero_point_.data<std::int32_t>(), std::back_inserter(qparams.zero_point));
  return qparams;
}

ScaleZero Int8Product::input_map() const { return map_from(input_scale_, input_zero_point_); }

kernels::Requantization Int8Product::requantization() const {
  kernels::Requantization requantization = kernels::make_requantization(
      input_map(), weight_qparams(), {}, weight_.shape()[0], output_.map(), output_.codes(), options_.relu);
  if (bias_.defined()) {
    std::ranges::transform(bias_.data<std::int32_t>(), std::back_inserter(requantization.bias),
                           [](std::int32_t b) { return static_cast<float>(b); });
  }
  return requantization;
}

void Int8Product::make_plan(const kernels::ConvShape& shape, const Tensor& x) {
  packed_ = kernels::pack_integer(shape, weight_.data<std::int8_t>().data(), weight_.owner(),
                                  product_codes(x, weight_codes()));
  requantization_ = requantization();
}

nn::Variable Int8Product::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  const Tensor& x = inputs[0].value();
  check(map_of(x, kind()) == input_map(), name(),
        ": the input's scale and zero point are not those that the layer was converted for");
  const kernels::ConvShape shape = conv_shape(x.shape().row(), x.shape()[0]);
  if (!packed_.defined()) {
    make_plan(shape, x);
  }
  Tensor y = context.tape.empty(output_shape(std::vector{x.shape().row()}).batched(x.shape()[0]), DType::U8);
  integer_product(shape, x, packed_, requantization_, y);
  return context.tape.constant(y.with_qparams(output_.qparams()));
}

std::vector<nn::Slot> Int8Product::slots() {
  const Shape weight_shape = layer().slots()[0].shape;
  const std::int64_t outputs = weight_shape[0];
  const Shape scales{options_.is_per_channel ? outputs : 1};
  const Shape one{1};
  std::vector<nn::Slot> slots{{"weight", &weight_, nullptr, weight_shape, DType::S8, true},
                              {"weight_scale", &weight_scale_, nullptr, scales},
                              {"weight_zero_point", &weight_zero_point_, nullptr, scales, DType::S32}};
  if (options_.has_bias) {
    slots.push_back({"bias", &bias_, nullptr, Shape{outputs}, DType::S32, true});
  }
  slots.push_back({"input_scale", &input_scale_, nullptr, one});
  slots.push_back({"input_zero_point", &input_zero_point_, nullptr, one, DType::S32});
  std::ranges::copy(output_.slots(), std::back_inserter(slots));
  return slots;
}

void Int8Product::loaded() {
  packed_ = {};
  requantization_ = {};
  const QParams qparams = weight_qparams();
  qparams.validate();
  for (const std::int32_t zero_point : qparams.zero_point) {
    check(zero_point == 0, name(), ": weight_zero_point: expected 0, got ", zero_point);
  }
  for (const std::int8_t code : weight_.data<std::int8_t>()) {
    check(qparams.codes.qmin <= code && code <= qparams.codes.qmax, name(), ": weight: code ", static_cast<int>(code),
          " lies outside [", qparams.codes.qmin, ", ", qparams.codes.qmax, "]");
  }
  for (std::int64_t o = 0; bias_.defined() && o < bias_.elements(); ++o) {
    const std::int32_t bias = bias_.data<std::int32_t>()[static_cast<std::size_t>(o)];
    check(-kLargestBias <= bias && bias <= kLargestBias, "bias: element ", o, ": expected at most 2^30, got ", bias);
  }
  QParams::per_tensor(map_from(input_scale_, input_zero_point_), unsigned_codes(8)).validate();
  output_.check_loaded();
}

json Int8Product::options() const {
  return {{"layer", layer().options()},
          {"int8",
           {{"weight_bits", options_.weight_bits},
            {"per_channel", options_.is_per_channel},
            {"bias", options_.has_bias},
            {"relu", options_.relu},
            {"output_bits", options_.output_bits}}}};
}

Int8Product::Options int8_options_from_json(const json& json) {
  OptionReader reader("int8", json);
  Int8Product::Options options;
  options.weight_bits = bits_of(reader, "weight_bits");
  options.is_per_channel = reader.boolean("per_channel", true);
  options.has_bias = reader.boolean("bias", true);
  options.relu = reader.boolean("relu", false);
  options.output_bits = bits_of(reader, "output_bits");
  reader.finish();
  return options;
}

json Int8Add::options() const { return {{"relu", relu_}, {"output_bits", output_.bits()}}; }

std::shared_ptr<nn::Module> Int8Add::from_options(const json& options) {
  OptionReader reader("int8_add", options);
  const bool relu = reader.boolean("relu", false);
  const int bits = bits_of(reader, "output_bits");
  reader.finish();
  return std::make_shared<Int8Add>(FixedMap(bits), relu);
}

nn::Variable Int8Add::forward(nn::Context&, std::span<const nn::Variable> inputs) {
  return add_codes(inputs[0], inputs[1], output_.qparams(), relu_);
}

json Int8AvgPool2d::options() const { return {{"geometry", geometry_.to_json()}, {"output_bits", output_.bits()}}; }

std::shared_ptr<nn::Module> Int8AvgPool2d::from_options(const json& options) {
  check(options.is_object() && options.contains("geometry"), "int8_avg_pool2d: expected an object 'geometry'");
  json rest = options;
  const AverageGeometry geometry = AverageGeometry::from_json(options["geometry"]);
  rest.erase("geometry");
  OptionReader reader("int8_avg_pool2d", rest);
  const int bits = bits_of(reader, "output_bits");
  reader.finish();
  return std::make_shared<Int8AvgPool2d>(geometry, FixedMap(bits));
}

nn::Variable Int8AvgPool2d::forward(nn::Context&, std::span<const nn::Variable> inputs) {
  const nn::Variable& x = inputs[0];
  return average_codes(x, geometry_.pool_shape(x.shape().row(), x.shape()[0]), geometry_.output_shape(x.shape().row()),
                       output_.qparams());
}

}  // namespace detent::quant
