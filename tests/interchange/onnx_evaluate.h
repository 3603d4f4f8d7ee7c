#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "detent/core/error.h"
#include "detent/interchange/onnx/model.h"

/// The operations that exported models are made of, between codes, as the format's documents define them: plain loops
/// over one example, every operation on real numbers in f32.
namespace detent::onnx {

/// Extents and elements; codes and sums are whole numbers.
struct Evaluated {
  std::vector<std::int64_t> dims;
  std::vector<double> at;
};

class Evaluator {
 public:
  explicit Evaluator(const Model& model) : model_(model) {
    for (const Array& array : model.initializers) {
      Evaluated value{.dims = array.dims, .at = {}};
      if (array.type == ElementType::F32) {
        const std::vector<float> reals = array.reals();
        value.at.assign(reals.begin(), reals.end());
      } else {
        const std::vector<std::int64_t> wholes = array.integers();
        std::ranges::transform(wholes, std::back_inserter(value.at), [](auto x) { return static_cast<double>(x); });
      }
      values[array.name] = std::move(value);
    }
  }

  std::map<std::string, Evaluated> values;

  void run() {
    for (const Node& node : model_.nodes) {
      // What is left out is of floats, behind the codes.
      if (std::ranges::all_of(node.inputs, [&](const std::string& name) { return values.contains(name); })) {
        if (std::optional<Evaluated> y = result_of(node)) {
          ASSERT_EQ(static_cast<std::int64_t>(y->at.size()), elements(y->dims)) << node.name;
          values[node.outputs[0]] = std::move(*y);
        }
      }
    }
  }

 private:
  static std::int64_t elements(const std::vector<std::int64_t>& dims) {
    return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
  }
  static double code_of(float real, double zero_point) {
    return std::clamp(std::nearbyint(double{real}) + zero_point, 0.0, 255.0);
  }
  const Evaluated& in(const Node& node, std::size_t i) const { return values.at(node.inputs.at(i)); }

  /// `fn` of elements, the shorter of them broadcast from the right, or a number a channel [C, 1, 1].
  template <typename Fn>
  Evaluated each(const Evaluated& a, const Evaluated& b, Fn&& fn) const {
    const bool is_first_longer = a.at.size() >= b.at.size();
    const Evaluated& longer = is_first_longer ? a : b;
    const Evaluated& shorter = is_first_longer ? b : a;
    Evaluated y = longer;
    const bool is_by_channel = shorter.dims.size() == 3;
    const std::size_t count = shorter.at.size();
    const std::size_t pixels = is_by_channel ? static_cast<std::size_t>(longer.dims[2] * longer.dims[3]) : 1;
    for (std::size_t i = 0; i < y.at.size(); ++i) {
      const double other = shorter.at[count == y.at.size() ? i : i / pixels % count];
      y.at[i] = is_first_longer ? fn(y.at[i], other) : fn(other, y.at[i]);
    }
    return y;
  }

  /// y[o, row, column] = start(o), then step(y, x, w) for each pixel of the window that lies in the image.
  template <typename Step>
  Evaluated windows(const Node& node, const Evaluated& x, const Evaluated* w, double start, Step&& step) const {
    const auto kernel = node.integers("kernel_shape", {1, 1}), strides = node.integers("strides", {1, 1});
    const auto dilations = node.integers("dilations", {1, 1}), pads = node.integers("pads", {0, 0, 0, 0});
    const std::int64_t c = x.dims[1], h = x.dims[2], width = x.dims[3],
                       groups = w == nullptr ? c : node.integer("group", 1);
    const std::int64_t outputs = w == nullptr ? c : w->dims[0], channels = c / groups;
    const auto extent = [&](std::size_t axis, std::int64_t image) {
      return (image + pads[axis] + pads[axis + 2] - dilations[axis] * (kernel[axis] - 1) - 1) / strides[axis] + 1;
    };
    Evaluated y{.dims = {1, outputs, extent(0, h), extent(1, width)}, .at = {}};
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t row = 0; row < y.dims[2]; ++row) {
        for (std::int64_t column = 0; column < y.dims[3]; ++column) {
          double sum = start;
          for (std::int64_t i = 0; i < channels * kernel[0] * kernel[1]; ++i) {
            const std::int64_t channel = i / (kernel[0] * kernel[1]);
            const std::int64_t image_row = row * strides[0] - pads[0] + i / kernel[1] % kernel[0] * dilations[0];
            const std::int64_t image_column = column * strides[1] - pads[1] + i % kernel[1] * dilations[1];
            if (0 <= image_row && image_row < h && 0 <= image_column && image_column < width) {
              const std::int64_t from = o / (outputs / groups) * channels + channel;
              const double of_image = x.at[static_cast<std::size_t>((from * h + image_row) * width + image_column)];
              const double of_kernel =
                  w == nullptr ? 1.0 : w->at[static_cast<std::size_t>(o * channels * kernel[0] * kernel[1] + i)];
              sum = step(sum, of_image, of_kernel);
            }
          }
          y.at.push_back(sum);
        }
      }
    }
    return y;
  }
  Evaluated convolved(const Node& node, const Evaluated& x, double zero_point, const Evaluated& w) const {
    Node with_kernel = node;
    with_kernel.attributes.push_back({"kernel_shape", std::vector<std::int64_t>{w.dims[2], w.dims[3]}});
    return windows(with_kernel, x, &w, 0.0, [&](double sum, double a, double b) { return sum + (a - zero_point) * b; });
  }
  static Evaluated multiplied(const Evaluated& x, double zero_point, const Evaluated& w) {
    Evaluated y{.dims = {1, w.dims[1]}, .at = std::vector<double>(static_cast<std::size_t>(w.dims[1]), 0.0)};
    for (std::size_t i = 0; i < w.at.size(); ++i) {
      y.at[i % y.at.size()] += (x.at[i / y.at.size()] - zero_point) * w.at[i];
    }
    return y;
  }
  /// Sums as codes, as runtimes do it: the zero point is added to what is rounded.
  Evaluated requantized(Evaluated sum, const Node& node, const Evaluated* bias) const {
    const Evaluated& scales = in(node, 4);
    const std::size_t pixels = sum.dims.size() == 4 ? static_cast<std::size_t>(sum.dims[2] * sum.dims[3]) : 1;
    for (std::size_t i = 0; i < sum.at.size(); ++i) {
      const std::size_t o = i / pixels;
      const auto s_w = static_cast<float>(scales.at[o % scales.at.size()]);
      const float multiplier = static_cast<float>(in(node, 1).at[0]) * s_w / static_cast<float>(in(node, 6).at[0]);
      const auto total = static_cast<float>(sum.at[i] + (bias == nullptr ? 0.0 : bias->at[o]));
      sum.at[i] = code_of(total * multiplier, in(node, 7).at[0]);
    }
    return sum;
  }

  std::optional<Evaluated> result_of(const Node& node) const {
    const Evaluated& x = in(node, 0);
    Evaluated y = x;
    const auto f32 = [](double value) { return static_cast<float>(value); };
    if (node.op == "QuantizeLinear") {
      return each(x, in(node, 1), [&](double a, double s) { return code_of(f32(a) / f32(s), in(node, 2).at[0]); });
    }
    if (node.op == "DequantizeLinear") {
      return each(x, in(node, 1), [&](double q, double s) { return double{f32(q - in(node, 2).at[0]) * f32(s)}; });
    }
    if (node.op == "ConvInteger") {
      return convolved(node, x, in(node, 2).at[0], in(node, 1));
    }
    if (node.op == "MatMulInteger") {
      return multiplied(x, in(node, 2).at[0], in(node, 1));
    }
    if (node.op == "QLinearConv") {
      return requantized(convolved(node, x, in(node, 2).at[0], in(node, 3)), node,
                         node.has_input(8) ? &in(node, 8) : nullptr);
    }
    if (node.op == "QLinearMatMul") {
      return requantized(multiplied(x, in(node, 2).at[0], in(node, 3)), node, nullptr);
    }
    if (node.op == "Cast") {
      std::ranges::transform(x.at, y.at.begin(), [&](double a) { return double{f32(a)}; });
      return y;
    }
    if (node.op == "Add") {
      return each(x, in(node, 1), [&](double a, double b) { return double{f32(a) + f32(b)}; });
    }
    if (node.op == "Mul") {
      return each(x, in(node, 1), [&](double a, double b) { return double{f32(a) * f32(b)}; });
    }
    if (node.op == "Relu") {
      std::ranges::transform(x.at, y.at.begin(), [](double a) { return std::max(a, 0.0); });
      return y;
    }
    if (node.op == "Round") {
      std::ranges::transform(x.at, y.at.begin(), [](double a) { return std::nearbyint(a); });
      return y;
    }
    if (node.op == "Clip") {
      std::ranges::transform(x.at, y.at.begin(),
                             [&](double a) { return std::clamp(a, in(node, 1).at[0], in(node, 2).at[0]); });
      return y;
    }
    if (node.op == "Gather") {
      y = in(node, 1);
      std::ranges::transform(y.at, y.at.begin(), [&](double q) { return x.at.at(static_cast<std::size_t>(q)); });
      return y;
    }
    if (node.op == "MaxPool") {
      return windows(node, x, nullptr, 0.0, [](double most, double a, double) { return std::max(most, a); });
    }
    if (node.op == "AveragePool") {
      const auto kernel = node.integers("kernel_shape", {});
      y = windows(node, x, nullptr, 0.0, [](double sum, double a, double) { return sum + a; });
      for (double& mean : y.at) {
        mean = double{f32(mean / static_cast<double>(kernel[0] * kernel[1]))};
      }
      return y;
    }
    if (node.op == "Transpose") {  // [N, C, H, W] to [N, H, W, C]
      y.dims = {1, x.dims[2], x.dims[3], x.dims[1]};
      const auto channels = static_cast<std::size_t>(x.dims[1]);
      for (std::size_t i = 0; i < x.at.size(); ++i) {
        y.at[i] = x.at[i % channels * (x.at.size() / channels) + i / channels];
      }
      return y;
    }
    if (node.op == "Reshape" || node.op == "Flatten" || node.op == "Squeeze") {
      y.dims = {1, static_cast<std::int64_t>(x.at.size())};
      return y;
    }
    if (node.op == "Unsqueeze") {
      y.dims = {1, static_cast<std::int64_t>(x.at.size()), 1, 1};
      return y;
    }
    if (node.op == "Concat") {  // of the channels of one example
      for (std::size_t i = 1; i < node.inputs.size(); ++i) {
        y.dims[1] += in(node, i).dims[1];
        y.at.insert(y.at.end(), in(node, i).at.begin(), in(node, i).at.end());
      }
      return y;
    }
    return std::nullopt;
  }

  const Model& model_;
};

}  // namespace detent::onnx
