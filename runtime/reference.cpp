#include "detent/runtime/reference.h"

#include <algorithm>
#include <cmath>

#include "detent/core/conversion.h"
#include "detent/kernels/codes/dynamic_codes.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::runtime {
namespace {

/// The codes of a value on its map.
ScaleZero map_of(const ValueType& type) { return type.qparams->tensor(); }

/// clamp(rne(value), lower, qmax): `lower` is qmin, or with ReLU the zero point if that is above.
std::uint8_t code_of(float value, const ValueType& output, bool relu) {
  CodeRange codes = output.qparams->codes;
  codes.qmin = relu ? std::max(codes.qmin, map_of(output).zero_point) : codes.qmin;
  return static_cast<std::uint8_t>(quantize(value, ScaleZero{}, codes));
}

double relu_of(double value, bool relu) { return relu ? std::max(value, 0.0) : value; }

double function_of(const Activation& a, double x) {
  switch (a.function) {
    case kernels::Activation::Relu:
      return std::max(x, 0.0);
    case kernels::Activation::Relu6:
      return std::clamp(x, 0.0, 6.0);
    case kernels::Activation::LeakyRelu:
      return x > 0 ? x : a.slope * x;
    case kernels::Activation::Sigmoid:
      return 1 / (1 + std::exp(-x));
    case kernels::Activation::Tanh:
      return std::tanh(x);
    case kernels::Activation::Gelu:
      return x * (1 + std::erf(x / std::sqrt(2.0))) / 2;
    case kernels::Activation::HardSwish:
      return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case kernels::Activation::Silu:
      return x / (1 + std::exp(-x));
    case kernels::Activation::Sign:
      return x >= 0 ? 1.0 : -1.0;
  }
  fail("reference: an activation that it does not know");
}

/// Calls visit(k, i) for every product in the sum of one output: element k of its kernel [KH, KW, I] and element i of
/// the image. Pixels in the padding are left out: they are 0.
template <typename Visit>
void for_each_input(const kernels::ConvShape& s, std::int64_t row, std::int64_t column, std::int64_t o, Visit&& visit) {
  const std::int64_t channels = s.c / s.groups;
  const std::int64_t group = o / (s.o / s.groups);
  for (std::int64_t i = 0; i < s.kh; ++i) {
    for (std::int64_t j = 0; j < s.kw; ++j) {
      const std::int64_t y = row * s.stride_h - s.padding.top + i * s.dilation_h;
      const std::int64_t x = column * s.stride_w - s.padding.left + j * s.dilation_w;
      if (y >= 0 && y < s.h && x >= 0 && x < s.w) {
        for (std::int64_t c = 0; c < channels; ++c) {
          visit((i * s.kw + j) * channels + c, (y * s.w + x) * s.c + group * channels + c);
        }
      }
    }
  }
}

/// Calls visit(i) for the elements of the image in one window of channel `c`.
template <typename Visit>
void for_each_pixel(const kernels::PoolShape& s, std::int64_t row, std::int64_t column, std::int64_t c, Visit&& visit) {
  for (std::int64_t i = 0; i < s.kh; ++i) {
    for (std::int64_t j = 0; j < s.kw; ++j) {
      const std::int64_t y = row * s.stride_h - s.padding.top + i;
      const std::int64_t x = column * s.stride_w - s.padding.left + j;
      if (y >= 0 && y < s.h && x >= 0 && x < s.w) {
        visit((y * s.w + x) * s.c + c);
      }
    }
  }
}

/// The operations, each for the whole batch.
struct RunReference {
  const Model& model;
  const Node& node;
  std::span<const Tensor> values;
  Tensor& y;

  const ValueType& type(std::size_t i = 0) const { return model.type(node.inputs[i]); }
  template <typename T>
  std::span<const T> in(std::size_t i = 0) const {
    return values[node.inputs[i]].data<T>();
  }
  /// The first input as it is, or rounded to bf16.
  Tensor reals(bool are_rounded) const {
    Tensor x = are_rounded ? values[node.inputs[0]].clone() : values[node.inputs[0]];
    if (are_rounded) {
      round_to_bfloat16(x.data<float>());
    }
    return x;
  }
  std::int64_t batch() const { return y.shape()[0]; }
  /// y[i] = fn(i)
  template <typename T, typename Fn>
  void each(Fn&& fn) const {
    auto out = y.data<T>();
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<T>(fn(i));
    }
  }

  void operator()(const Quantize&) const {
    const ValueType& to = node.output;
    each<std::uint8_t>([&](std::size_t i) { return quantize(in<float>()[i], map_of(to), to.qparams->codes); });
  }
  void operator()(const Dequantize&) const {
    each<float>([&](std::size_t i) { return dequantize(in<std::uint8_t>()[i], map_of(type())); });
  }

  void operator()(const Product& product) const {
    const kernels::ConvShape& s = product.shape;
    const bool is_bf16 = product.weight.dtype() == DType::BF16;
    const Tensor x = reals(is_bf16);
    const Tensor weight = is_bf16 ? product.weight.to(DType::F32) : product.weight;
    std::size_t index = 0;
    for (std::int64_t n = 0; n < batch(); ++n) {
      for (std::int64_t row = 0; row < s.out_h(); ++row) {
        for (std::int64_t column = 0; column < s.out_w(); ++column) {
          for (std::int64_t o = 0; o < s.o; ++o, ++index) {
            if (y.dtype() == DType::U8) {
              y.data<std::uint8_t>()[index] = code_of_sum(product, n, row, column, o);
            } else {
              const auto image = x.data<float>().subspan(static_cast<std::size_t>(n * s.input_row()));
              const auto kernel = weight.data<float>().subspan(static_cast<std::size_t>(o * s.depth()));
              y.data<float>()[index] = real_of_sum(product, image.data(), kernel.data(), row, column, o, index);
            }
          }
        }
      }
    }
  }
  std::uint8_t code_of_sum(const Product& product, std::int64_t n, std::int64_t row, std::int64_t column,
                           std::int64_t o) const {
    const kernels::ConvShape& s = product.shape;
    const auto* const x_q = in<std::uint8_t>().data() + n * s.input_row();
    const auto* const w_q = product.weight.data<std::int8_t>().data() + o * s.depth();
    const ScaleZero x = map_of(type());
    const ScaleZero to = map_of(node.output);
    const auto output = static_cast<std::size_t>(o);
    const QParams& weight = *product.weight.qparams();
    std::vector<std::int64_t> sums(static_cast<std::size_t>(weight.groups), 0);
    for_each_input(s, row, column, o, [&](std::int64_t w, std::int64_t i) {
      const std::int64_t group = weight.group_of(w % (s.c / s.groups));
      sums[static_cast<std::size_t>(group)] += (x_q[i] - x.zero_point) * w_q[w];
    });
    const auto sum = [&](std::int64_t g) {
      return static_cast<float>(static_cast<std::int32_t>(sums[static_cast<std::size_t>(g)]));
    };
    const auto multiplier_of = [&](float scale) {
      return kernels::multiplier_of(double{x.scale} * double{scale} / double{to.scale});
    };
    const std::int32_t bias = product.bias.defined() ? product.bias.data<std::int32_t>()[output] : 0;
    const float multiplier = multiplier_of(weight.scale_of(output));
    if (weight.is_per_group()) {
      float total = 0.0F;
      for (std::int64_t g = 0; g < weight.groups; ++g) {
        const float scaled = sum(g) * multiplier_of(weight.scale_of(output, g));
        total = g == 0 ? scaled : total + scaled;
      }
      const float biased = total + static_cast<float>(bias) * multiplier;
      return code_of(biased + static_cast<float>(to.zero_point), node.output, product.relu);
    }
    const float total = sum(0) + static_cast<float>(bias);
    return code_of(total * multiplier + static_cast<float>(to.zero_point), node.output, product.relu);
  }
  /// `x`: the image; `w`: the kernel of output `o`.
  float real_of_sum(const Product& product, const float* x, const float* w, std::int64_t row, std::int64_t column,
                    std::int64_t o, std::size_t index) const {
    const kernels::ConvShape& s = product.shape;
    double sum = product.bias.defined() ? double{product.bias.data<float>()[static_cast<std::size_t>(o)]} : 0.0;
    for_each_input(s, row, column, o, [&](std::int64_t k, std::int64_t i) { sum += double{x[i]} * double{w[k]}; });
    sum += node.inputs.size() > 1 ? double{in<float>(1)[index]} : 0.0;
    return static_cast<float>(relu_of(sum, product.relu));
  }

  void operator()(const HybridProduct& product) const {
    const kernels::ConvShape& s = product.shape;
    const Tensor numbers = reals(product.input == DType::BF16);
    std::size_t index = 0;
    for (std::int64_t n = 0; n < batch(); ++n) {
      const std::span<const float> x = numbers.data<float>().subspan(static_cast<std::size_t>(n * s.input_row()),
                                                                     static_cast<std::size_t>(s.input_row()));
      const ScaleZero map = product.dynamic ? kernels::dynamic_map(x, *product.dynamic) : ScaleZero{};
      for (std::int64_t row = 0; row < s.out_h(); ++row) {
        for (std::int64_t column = 0; column < s.out_w(); ++column) {
          for (std::int64_t o = 0; o < s.o; ++o, ++index) {
            y.data<float>()[index] = product.dynamic ? dynamic_result(product, x, map, row, column, o)
                                                     : weight_only_result(product, x, row, column, o);
          }
        }
      }
    }
  }
  static float dynamic_result(const HybridProduct& product, std::span<const float> x, ScaleZero map, std::int64_t row,
                              std::int64_t column, std::int64_t o) {
    const kernels::ConvShape& s = product.shape;
    const QParams& weight = *product.weight.qparams();
    const auto* const w_q = product.weight.data<std::int8_t>().data() + o * s.depth();
    std::vector<std::int64_t> sums(static_cast<std::size_t>(weight.groups), 0);
    for_each_input(s, row, column, o, [&](std::int64_t k, std::int64_t i) {
      const std::int32_t x_q = quantize(x[static_cast<std::size_t>(i)], map, *product.dynamic);
      sums[static_cast<std::size_t>(weight.group_of(k % (s.c / s.groups)))] += (x_q - map.zero_point) * w_q[k];
    });
    float total = 0.0F;
    for (std::int64_t g = 0; g < weight.groups; ++g) {
      const auto sum = static_cast<std::int32_t>(sums[static_cast<std::size_t>(g)]);
      const float scaled = static_cast<float>(sum) * weight.scale_of(static_cast<std::size_t>(o), g);
      total = g == 0 ? scaled : total + scaled;
    }
    const float bias = product.bias.defined() ? product.bias.data<float>()[static_cast<std::size_t>(o)] : 0.0F;
    const float result = total * map.scale + bias;
    return product.relu && !(result > 0.0F) ? 0.0F : result;
  }
  static float weight_only_result(const HybridProduct& product, std::span<const float> x, std::int64_t row,
                                  std::int64_t column, std::int64_t o) {
    const kernels::ConvShape& s = product.shape;
    const QParams& weight = *product.weight.qparams();
    const auto* const w_q = product.weight.data<std::int8_t>().data() + o * s.depth();
    double sum = product.bias.defined() ? double{product.bias.data<float>()[static_cast<std::size_t>(o)]} : 0.0;
    for_each_input(s, row, column, o, [&](std::int64_t k, std::int64_t i) {
      const std::int64_t group = weight.group_of(k % (s.c / s.groups));
      const double w = double{weight.scale_of(static_cast<std::size_t>(o), group)} * w_q[k];
      sum += double{x[static_cast<std::size_t>(i)]} * w;
    });
    return static_cast<float>(relu_of(sum, product.relu));
  }

  void operator()(const Add& add) const {
    if (y.dtype() == DType::F32) {
      each<float>([&](std::size_t i) { return relu_of(double{in<float>(0)[i]} + double{in<float>(1)[i]}, add.relu); });
      return;
    }
    const ScaleZero a = map_of(type(0)), b = map_of(type(1)), to = map_of(node.output);
    const float of_a = kernels::multiplier_of(double{a.scale} / double{to.scale});
    const float of_b = kernels::multiplier_of(double{b.scale} / double{to.scale});
    each<std::uint8_t>([&](std::size_t i) {
      const auto x = static_cast<float>(in<std::uint8_t>(0)[i] - a.zero_point);
      const auto z = static_cast<float>(in<std::uint8_t>(1)[i] - b.zero_point);
      const float sum = x * of_a + z * of_b;
      return code_of(sum + static_cast<float>(to.zero_point), node.output, add.relu);
    });
  }

  void operator()(const Concat&) const {
    const std::int64_t stride = node.output.shape.extents().back();
    std::int64_t first = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const std::int64_t columns = type(i).shape.extents().back();
      for (std::int64_t e = 0; e < values[node.inputs[i]].elements(); ++e) {
        const auto from = static_cast<std::size_t>(e);
        const auto to = static_cast<std::size_t>(e / columns * stride + first + e % columns);
        if (y.dtype() == DType::F32) {
          y.data<float>()[to] = in<float>(i)[from];
        } else {
          const float real = dequantize(in<std::uint8_t>(i)[from], map_of(type(i)));
          y.data<std::uint8_t>()[to] =
              static_cast<std::uint8_t>(quantize(real, map_of(node.output), node.output.qparams->codes));
        }
      }
      first += columns;
    }
  }

  void operator()(const Pool& pool) const {
    const kernels::PoolShape& s = pool.shape;
    std::int64_t index = 0;
    for (std::int64_t n = 0; n < batch(); ++n) {
      for (std::int64_t row = 0; row < s.out_h(); ++row) {
        for (std::int64_t column = 0; column < s.out_w(); ++column) {
          for (std::int64_t c = 0; c < s.c; ++c, ++index) {
            pool_window(pool, n * s.input_row(), row, column, c, static_cast<std::size_t>(index));
          }
        }
      }
    }
  }
  void pool_window(const Pool& pool, std::int64_t image, std::int64_t row, std::int64_t column, std::int64_t c,
                   std::size_t index) const {
    const kernels::PoolShape& s = pool.shape;
    const bool is_max = pool.kind == PoolKind::Max;
    if (y.dtype() == DType::F32) {
      double most = -HUGE_VAL, sum = 0;
      for_each_pixel(s, row, column, c, [&](std::int64_t i) {
        const double x{in<float>()[static_cast<std::size_t>(image + i)]};
        most = std::max(most, x);
        sum += x;
      });
      y.data<float>()[index] = static_cast<float>(is_max ? most : sum / static_cast<double>(s.window()));
      return;
    }
    const ScaleZero x = map_of(type()), to = map_of(node.output);
    std::int32_t most = 0, sum = 0;
    for_each_pixel(s, row, column, c, [&](std::int64_t i) {
      const std::int32_t q = in<std::uint8_t>()[static_cast<std::size_t>(image + i)];
      most = std::max(most, q);
      sum += q - x.zero_point;
    });
    const float multiplier =
        kernels::multiplier_of(double{x.scale} / (static_cast<double>(s.window()) * double{to.scale}));
    const float code = static_cast<float>(sum) * multiplier + static_cast<float>(to.zero_point);
    y.data<std::uint8_t>()[index] = is_max ? static_cast<std::uint8_t>(most) : code_of(code, node.output, false);
  }

  void operator()(const Lookup& lookup) const {
    const auto table = lookup.table.data<std::uint8_t>();
    const std::size_t tables = table.size() / 256;
    each<std::uint8_t>([&](std::size_t i) { return table[i % tables * 256 + in<std::uint8_t>()[i]]; });
  }
  void operator()(const Softmax& softmax) const {
    const auto channels = static_cast<std::size_t>(node.output.shape.extents().back());
    for (std::size_t first = 0; first < static_cast<std::size_t>(y.elements()); first += channels) {
      y.dtype() == DType::F32 ? softmax_row(first, channels) : softmax_row(softmax, first, channels);
    }
  }
  void softmax_row(std::size_t first, std::size_t channels) const {
    const auto x = in<float>().subspan(first, channels);
    const double most{std::ranges::max(x)};
    double sum = 0;
    for (const float value : x) {
      sum += std::exp(double{value} - most);
    }
    for (std::size_t c = 0; c < channels; ++c) {
      y.data<float>()[first + c] = static_cast<float>(std::exp(double{x[c]} - most) / sum);
    }
  }
  void softmax_row(const Softmax& softmax, std::size_t first, std::size_t channels) const {
    const auto x_q = in<std::uint8_t>().subspan(first, channels);
    const auto table = softmax.table.data<std::int32_t>();
    const std::uint8_t most = std::ranges::max(x_q);
    std::int64_t sum = 0;
    for (const std::uint8_t q : x_q) {
      sum += table[most - q];
    }
    for (std::size_t c = 0; c < channels; ++c) {
      const float p = static_cast<float>(table[most - x_q[c]]) / static_cast<float>(sum);
      const ValueType& to = node.output;
      y.data<std::uint8_t>()[first + c] = static_cast<std::uint8_t>(quantize(p, map_of(to), to.qparams->codes));
    }
  }
  void operator()(const Reshape&) const { y.copy_from(values[node.inputs[0]].reshape(y.shape())); }
  void operator()(const Activation& activation) const {
    each<float>([&](std::size_t i) { return function_of(activation, double{in<float>()[i]}); });
  }
  void operator()(const BatchNorm& norm) const {
    const auto channels = static_cast<std::size_t>(norm.mean.elements());
    const auto at = [](const Tensor& t, std::size_t c, double otherwise) {
      return t.defined() ? double{t.data<float>()[c]} : otherwise;
    };
    each<float>([&](std::size_t i) {
      const std::size_t c = i % channels;
      const double x = double{in<float>()[i]} - at(norm.mean, c, 0);
      return x / std::sqrt(at(norm.variance, c, 1) + norm.epsilon) * at(norm.weight, c, 1) + at(norm.bias, c, 0);
    });
  }
  void operator()(const Custom& custom) const {
    std::vector<Tensor> inputs;
    for (const ValueId input : node.inputs) {
      inputs.push_back(values[input]);
    }
    const Tensor result = custom.op->run(inputs, node.output, nullptr);
    y.copy_from(result.reshape(y.shape()));
  }
};

}  // namespace

std::vector<Tensor> run_reference(const Model& model, std::span<const Tensor> inputs) {
  model.validate();
  check(inputs.size() == model.inputs.size(), "reference: expected ", model.inputs.size(), " inputs, got ",
        inputs.size());
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = model.inputs[i].type;
    check(inputs[i].defined() && inputs[i].shape().rank() >= 1, "reference: expected a batch of examples");
    const Shape shape = type.shape.batched(inputs[0].shape()[0]);
    check(inputs[i].dtype() == type.dtype && inputs[i].shape() == shape, "reference: ", model.inputs[i].name,
          ": expected ", type.dtype, " ", shape, ", got ", inputs[i].dtype(), " ", inputs[i].shape());
    values.push_back(inputs[i].with_qparams(type.qparams));
  }
  const std::int64_t batch = inputs[0].shape()[0];
  for (const Node& node : model.nodes) {
    const ValueType& type = node.output;
    Tensor y = Tensor::empty(type.shape.batched(batch), type.dtype).with_qparams(type.qparams);
    std::visit(RunReference{model, node, values, y}, node.op);
    values.push_back(y);
  }
  return values;
}

}  // namespace detent::runtime
