#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/quant/qat_fixture.h"

/// Graphs and configurations drawn from a seed.
namespace detent::test {

/// Grows a graph by modules that read any earlier value of a fitting shape, and makes any value its result: branches,
/// residual sums, concats, modules at several nodes, odd shapes, strides, pads and groups.
class Grower {
 public:
  using Handle = nn::Graph::Handle;

  explicit Grower(std::uint64_t seed) : random_(seed, "random graphs") {}

  nn::Graph grow() {
    nn::Graph net;
    const Shape image{number(4, 9), number(3, 7), number(1, 3)};
    values_.push_back(net.input(chance(4) ? Shape{number(1, 9)} : image));
    const std::size_t count = 2 + pick(11);
    while (values_.size() < count + 1) {
      add(net);
    }
    net.output(chance(3) ? values_[pick(values_.size())] : values_.back());
    net.initialize(pick(1000));
    return net;
  }

  quant::QConfigMapping mapping(const nn::Graph& net) {
    quant::QConfigMapping mapping(config());
    for (const nn::Graph::Node& node : net.nodes()) {
      const bool is_shared = node.module && std::ranges::count(net.nodes(), node.module, &nn::Graph::Node::module) > 1;
      if (node.module && !is_shared && chance(3)) {
        mapping.set_name(node.name, chance(3) ? std::nullopt : std::optional(config()));
      }
    }
    return mapping;
  }

 private:
  std::size_t pick(std::size_t count) { return random_.index(static_cast<std::uint32_t>(count)); }
  std::int64_t number(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(pick(static_cast<std::size_t>(high - low + 1)));
  }
  bool chance(std::size_t one_in) { return pick(one_in) == 0; }
  Padding2d padding() { return {number(0, 1), number(0, 2), number(0, 1), number(0, 1)}; }

  int bits() { return chance(2) ? 8 : static_cast<int>(number(2, 7)); }

  quant::RangeSpec range(bool is_weight) {
    const float reach = random_.uniform(0.3F, 3.0F);
    switch (pick(10)) {
      case 0:
        return {"min-max", {}};
      case 1:
        return {"percentile", {chance(2) ? 99.9 : 97.0}};
      case 2:
        return {"mse", {}};
      case 3:
        return {"histogram", {}};
      case 4:
        return {"kl", {}};
      case 5:
        return is_weight ? quant::RangeSpec() : quant::RangeSpec{"moving-average", {0.25}};
      case 6:
        return {"fixed", {-double{reach}, 1.5}};
      default:
        return {};
    }
  }

  quant::QConfig config() {
    quant::QConfig config;
    config.weight.grid.bits = bits();
    config.weight.granularity = chance(3)   ? quant::Granularity(quant::PerTensor{})
                                : chance(4) ? quant::Granularity(quant::PerGroup{number(1, 5)})
                                            : quant::PerChannel{};
    config.weight.range = range(true);
    config.weight.map = chance(6) ? "power-of-two" : "";
    config.activation.grid.bits = bits();
    config.activation.range = range(false);
    config.activation.map = chance(6) ? "power-of-two" : "";
    config.backward = chance(2) ? DType::F32 : DType::BF16;
    config.range = chance(2) ? quant::RangeUse::Current : quant::RangeUse::Previous;
    return config;
  }

  /// An earlier value for which `fits`, or `x`.
  template <typename Fits>
  Handle other_value(Handle x, Fits fits) {
    const Handle other = values_[pick(values_.size())];
    return fits(other) ? other : x;
  }

  void add_product(nn::Graph& net, Handle x) {
    const Shape shape = net.node(x).shape;
    if (!is_image(shape)) {
      keep(net.linear(shape.rank() == 1 ? x : net.flatten(x), {.out_features = number(1, 6), .bias = chance(2)}));
      return;
    }
    const bool is_depthwise = chance(4);
    const std::int64_t groups = is_depthwise ? shape[2] : shape[2] % 2 == 0 && chance(3) ? 2 : 1;
    keep(net.conv2d(x, {.out_channels = groups * number(1, is_depthwise ? 2 : 5),
                        .kernel = {number(1, 2), number(1, 2)},
                        .stride = {number(1, 2), number(1, 2)},
                        .padding = padding(),
                        .groups = groups,
                        .bias = chance(2)}));
  }

  /// A branch that comes back to its beginning.
  void add_residual(nn::Graph& net, Handle x) {
    const Shape shape = net.node(x).shape;
    const std::int64_t channels = shape[shape.rank() - 1];
    Handle y = shape.rank() == 3 ? net.conv2d(x, {.out_channels = channels, .kernel = 3, .padding = 1})
                                 : net.linear(x, {.out_features = channels});
    y = chance(2) ? net.batch_norm(y) : y;
    y = net.add(chance(2) ? net.relu(y) : y, x);
    keep(chance(2) ? net.relu(y) : y);
  }

  void add_concat(nn::Graph& net, Handle x) {
    const Shape shape = net.node(x).shape;
    const auto fits = [&](Handle other) {
      const Shape own = net.node(other).shape;
      return own.rank() == shape.rank() && (own.rank() == 1 || (own[0] == shape[0] && own[1] == shape[1]));
    };
    std::vector<Handle> inputs{x};
    for (std::size_t more = 1 + pick(2); more > 0; --more) {
      inputs.push_back(other_value(x, fits));
    }
    const auto count = static_cast<std::int64_t>(inputs.size());
    keep(net.add(std::make_shared<nn::Concat>(nn::Concat::Options{.inputs = count}), inputs));
  }

  /// One module at two nodes.
  void add_shared(nn::Graph& net, Handle x) {
    const Shape shape = net.node(x).shape;
    const std::int64_t channels = shape[shape.rank() - 1];
    std::shared_ptr<nn::Module> module = std::make_shared<nn::BatchNorm>(nn::BatchNorm::Options{});
    if (shape.rank() == 3 && chance(2)) {
      module = std::make_shared<nn::Conv2d>(nn::Conv2d::Options{.out_channels = channels, .kernel = 1});
    } else if (shape.rank() == 1 && chance(2)) {
      module = std::make_shared<nn::Linear>(nn::Linear::Options{.out_features = channels});
    }
    Handle y = net.add(module, {x});
    y = net.add(module, {chance(2) ? net.relu(y) : y});
    keep(chance(2) ? net.relu(y) : y);
  }

  void add_pool(nn::Graph& net, Handle x) {
    const Shape shape = net.node(x).shape;
    if (shape.rank() != 3) {
      keep(net.dropout(x, 0.2));
    } else if (!is_image(shape) || chance(4)) {
      keep(net.global_avg_pool(x));
    } else if (chance(2)) {
      keep(net.avg_pool(
          x, {.kernel = {2, number(1, 2)}, .stride = {1, number(1, 2)}, .padding = {0, 0, number(0, 1), 0}}));
    } else {
      keep(net.max_pool(
          x, {.kernel = 2, .stride = {number(1, 2), number(1, 2)}, .padding = {number(0, 1), 0, 0, number(0, 1)}}));
    }
  }

  void add(nn::Graph& net) {
    const Handle x = chance(3) ? values_[pick(values_.size())] : values_.back();
    switch (pick(16)) {
      case 0:
      case 1:
      case 2:
        return add_product(net, x);
      case 3:
        return keep(net.linear(net.flatten(x), {.out_features = number(1, 6), .bias = chance(2)}));
      case 4:
      case 5:
        return keep(net.batch_norm(x, {.affine = chance(2)}));
      case 6:
      case 7:
        return keep(net.relu(x));
      case 8: {
        const auto& functions = kernels::activation_names();
        return keep(net.activation(x, functions[pick(functions.size())].second));
      }
      case 9:
      case 10:
        return add_pool(net, x);
      case 11: {
        const auto fits = [&](Handle other) { return net.node(other).shape == net.node(x).shape; };
        return keep(net.add(x, other_value(x, fits)));
      }
      case 12:
        return add_residual(net, x);
      case 13:
        return add_concat(net, x);
      case 14:
        return keep(net.softmax(x));
      default:
        return add_shared(net, x);
    }
  }
  static bool is_image(const Shape& shape) { return shape.rank() == 3 && shape[0] > 1 && shape[1] > 1; }
  void keep(Handle handle) { values_.push_back(handle); }

  RandomStream random_;
  std::vector<Handle> values_;
};

}  // namespace detent::test
