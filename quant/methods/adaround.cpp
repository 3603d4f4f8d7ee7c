#include "detent/quant/methods/adaround.h"

#include <algorithm>
#include <cmath>

#include "detent/core/threads/parallel.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "detent/quant/passes/copy_module.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

using nn::Graph;

constexpr double kZeta = 1.1;
constexpr double kGamma = -0.1;

/// What a layer is shown: some examples of its input, and what it gave for them in the float graph.
struct Chunk {
  Tensor x, y;
};

/// A number a weight, and Adam's two.
struct Learned {
  double v = 0.0, first = 0.0, second = 0.0;

  double stretched() const { return (kZeta - kGamma) / (1.0 + std::exp(-v)) + kGamma; }
  double h() const { return std::clamp(stretched(), 0.0, 1.0); }
  /// dh / dV where h is this: with s = sigmoid(V), (zeta - gamma) s (1 - s), and 0 at the ends.
  static double slope(double h) { return h > 0.0 && h < 1.0 ? (h - kGamma) * (kZeta - h) / (kZeta - kGamma) : 0.0; }
  static Learned of_share(double share) { return {.v = -std::log((kZeta - kGamma) / (share - kGamma) - 1.0)}; }
};

/// The weights of one layer between their points of the grid.
class Rounding {
 public:
  Rounding(const FloatProduct& product, const QuantizerSpec& spec) : product_(product) {
    const QuantizedWeight quantized = quantize_weight(product.weight->value, {}, 1.0F, spec);
    const QParams& map = quantized.qparams;
    const std::span<const float> weights = product.weight->value.data<float>();
    const Shape& shape = product.weight->value.shape();
    const auto row = static_cast<std::size_t>(shape.row_elements());
    const std::int64_t channels = shape[shape.rank() - 1];
    const auto largest = static_cast<double>(map.codes.qmax);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const std::int64_t channel = static_cast<std::int64_t>(i % row) % channels;
      const double scale = double{map.scale_of(i / row, map.group_of(channel))};
      const double at = double{weights[i]} / scale;
      const double below = std::clamp(std::floor(at), -largest, largest - 1.0);
      is_pinned_.push_back(std::abs(at) > largest - kEnd);
      scale_.push_back(scale);
      below_.push_back(below);
      learned_.push_back(Learned::of_share(std::clamp(at - below, 0.0, 1.0)));
    }
  }

  /// Puts s (n + h) in the place of the weights.
  void write_soft() {
    write([](const Learned& learned) { return learned.h(); });
  }
  void write_hard() {
    write([](const Learned& learned) { return learned.h() >= 0.5 ? 1.0 : 0.0; });
  }

  /// `dw`: the loss's gradient of the weights.
  void step(std::span<const float> dw, std::int64_t number, const AdaRoundSettings& settings) {
    const auto steps = static_cast<double>(settings.steps);
    const double passed = static_cast<double>(number) / steps;
    const bool is_warm = passed >= settings.warm_up;
    const double way = is_warm ? (passed - settings.warm_up) / (1.0 - settings.warm_up) : 0.0;
    const double power = settings.first_power + way * (settings.last_power - settings.first_power);
    const double correction_1 = 1.0 - std::pow(0.9, static_cast<double>(number + 1));
    const double correction_2 = 1.0 - std::pow(0.999, static_cast<double>(number + 1));
    const auto step_one = [&](std::size_t i) {
      Learned& learned = learned_[i];
      const double h = learned.h();
      double dh = double{dw[i]} * scale_[i];
      if (is_warm) {
        const double side = 2.0 * h - 1.0;
        dh -= settings.regularizer * power * std::pow(std::abs(side), power - 1.0) * (side < 0.0 ? -2.0 : 2.0);
      }
      const double gradient = dh * Learned::slope(h);
      learned.first = 0.9 * learned.first + 0.1 * gradient;
      learned.second = 0.999 * learned.second + 0.001 * gradient * gradient;
      learned.v -=
          settings.learning_rate * (learned.first / correction_1) / (std::sqrt(learned.second / correction_2) + 1e-8);
    };
    for_each_free(step_one);
  }

 private:
  static constexpr double kEnd = 1e-3;  // in steps of the grid

  /// Calls fn(i) for every weight that is learned.
  template <typename Fn>
  void for_each_free(Fn&& fn) {
    const Slices slices = slice_by_bytes(static_cast<std::int64_t>(learned_.size()), sizeof(Learned));
    parallel_slices(slices.count, [&](std::int64_t slice) {
      for (std::int64_t i = slices[slice].begin; i < slices[slice].end; ++i) {
        if (const auto index = static_cast<std::size_t>(i); !is_pinned_[index]) {
          fn(index);
        }
      }
    });
  }
  template <typename Share>
  void write(Share share) {
    const std::span<float> weights = product_.weight->value.data<float>();
    for_each_free(
        [&](std::size_t i) { weights[i] = static_cast<float>(scale_[i] * (below_[i] + share(learned_[i]))); });
  }

  FloatProduct product_;
  std::vector<bool> is_pinned_;
  std::vector<double> scale_, below_;
  std::vector<Learned> learned_;
};

/// The values of the nodes of these names, batch by batch, as f32 tensors of their own.
std::vector<std::vector<Tensor>> values_of(Graph& graph, const RunTapped& run, const std::vector<std::string>& names) {
  std::vector<std::vector<Tensor>> values(names.size());
  run(graph, [&](const Graph::Node& node, const nn::Variable& value) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == node.name) {
        values[i].push_back(value.value().as(DType::F32, nullptr).clone());
      }
    }
  });
  return values;
}

/// What the layer at `nodes` is shown, cut into examples of a step.
std::vector<Chunk> chunks_of(Graph& rounded, Graph& source, const RunTapped& run, const std::vector<std::size_t>& nodes,
                             std::int64_t batch) {
  std::vector<std::string> inputs, outputs;
  for (const std::size_t node : nodes) {
    inputs.push_back(rounded.node(rounded.nodes()[node].inputs[0]).name);
    outputs.push_back(rounded.nodes()[node].name);
  }
  const std::vector<std::vector<Tensor>> xs = values_of(rounded, run, inputs);
  const std::vector<std::vector<Tensor>> ys = values_of(source, run, outputs);
  std::vector<Chunk> chunks;
  for (std::size_t use = 0; use < nodes.size(); ++use) {
    check(!xs[use].empty() && xs[use].size() == ys[use].size(), "adaround: ", outputs[use],
          ": expected the same batches in each run, got ", xs[use].size(), " and ", ys[use].size());
    for (std::size_t i = 0; i < xs[use].size(); ++i) {
      const std::int64_t examples = xs[use][i].shape()[0];
      for (std::int64_t first = 0; first < examples; first += batch) {
        const std::int64_t last = std::min(first + batch, examples);
        chunks.push_back({xs[use][i].rows(first, last), ys[use][i].rows(first, last)});
      }
    }
  }
  return chunks;
}

/// 2 (y' - y) / positions: the gradient of the mean over positions of the sum over outputs.
Tensor seed_of(const Tensor& actual, const Tensor& expected) {
  Tensor seed = Tensor::empty(actual.shape(), DType::F32);
  const std::int64_t outputs = actual.shape()[actual.shape().rank() - 1];
  const float factor = 2.0F / static_cast<float>(actual.elements() / outputs);
  const std::span<const float> a = actual.data<float>();
  const std::span<const float> b = expected.data<float>();
  const std::span<float> to = seed.data<float>();
  for (std::size_t i = 0; i < to.size(); ++i) {
    to[i] = factor * (a[i] - b[i]);
  }
  return seed;
}

void learn(nn::Module& module, const FloatProduct& product, const QuantizerSpec& spec, std::span<const Chunk> chunks,
           const AdaRoundSettings& settings) {
  Rounding rounding(product, spec);
  Arena arena;
  for (std::int64_t step = 0; step < settings.steps; ++step) {
    const Chunk& chunk = chunks[static_cast<std::size_t>(step) % chunks.size()];
    rounding.write_soft();
    product.weight->gradient = {};
    {
      nn::Tape tape(&arena);
      nn::Context context{.tape = tape};
      const nn::Variable x = tape.constant(chunk.x);
      const nn::Variable y = module.forward(context, std::span(&x, 1));
      tape.backward(y, seed_of(y.value(), chunk.y));
      rounding.step(std::as_const(product.weight->gradient).data<float>(), step, settings);
    }
    product.weight->gradient = {};
    product.bias->gradient = {};
  }
  rounding.write_hard();
}

/// How the weights of a layer are quantized; nullopt: it is none, or stays in float.
std::optional<QConfig> config_of(const Graph::Node& node, const QConfigMapping& mapping) {
  return float_product(node.module.get()) ? mapping.lookup(node.name, node.module->kind()) : std::nullopt;
}

}  // namespace

Graph adaround(const Graph& graph, const QConfigMapping& mapping, const RunTapped& run, const Kinds& kinds,
               const AdaRoundSettings& settings) {
  check(settings.steps >= 1 && settings.batch >= 1, "adaround: expected at least 1 step of 1 example, got ",
        settings.steps, " of ", settings.batch);
  Graph source = graph.clone(factories_of(kinds));
  Graph rounded = graph.clone(factories_of(kinds));
  check_adaround(graph, mapping);
  for (std::size_t i = 0; i < rounded.nodes().size(); ++i) {
    const Graph::Node& node = rounded.nodes()[i];
    const std::optional<QConfig> config = config_of(node, mapping);
    if (!config || !node.owns_module()) {
      continue;
    }
    std::vector<std::size_t> uses;
    for (std::size_t k = i; k < rounded.nodes().size(); ++k) {
      if (rounded.nodes()[k].module == node.module) {
        uses.push_back(k);
      }
    }
    const std::vector<Chunk> chunks = chunks_of(rounded, source, run, uses, settings.batch);
    learn(*node.module, *float_product(node.module.get()), config->weight, chunks, settings);
  }
  return rounded;
}

void check_adaround(const Graph& graph, const QConfigMapping& mapping) {
  for (const Graph::Node& node : graph.nodes()) {
    if (const std::optional<QConfig> config = config_of(node, mapping)) {
      const QuantizerSpec& spec = config->weight;
      QuantizerSpec fixed = spec;
      fixed.range = {};
      fixed.map = {};
      check((!spec.range.is_said() || spec.range.rule == kMinMaxRule) && spec.map.empty(), "adaround: ", node.name,
            ": the grid of '", to_text(spec), "' would move with the weights; write \"", to_text(fixed), "\"");
    }
  }
}

}  // namespace detent::quant
