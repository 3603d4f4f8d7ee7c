#include "detent/runtime/target_plan.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "detent/core/threads/parallel.h"
#include "detent/runtime/plan.h"

namespace detent::runtime {
namespace {

using Compute = TargetPlan::Compute;
using Codes = std::span<const std::uint8_t>;

constexpr std::int64_t kImagesPerSlice = 8;

ScaleZero real_map(const ValueType& type) { return type.qparams->tensor(); }
kernels::OutputCodes output_codes(const ValueType& type, bool relu) {
  return {.map = real_map(type), .codes = type.qparams->codes, .relu = relu};
}

Tensor empty_codes(const ValueType& type, std::int64_t batch) {
  return Tensor::empty(type.shape.batched(batch), DType::U8).with_qparams(type.qparams);
}

/// The elements of one image of a value.
template <typename T>
std::span<const T> image_of(const Tensor& value, std::int64_t image) {
  const auto row = static_cast<std::size_t>(value.shape().row_elements());
  return value.data<T>().subspan(static_cast<std::size_t>(image) * row, row);
}

/// Codes of `type`, image by image: fn(image, its codes).
template <typename Fn>
Tensor by_images(const ValueType& type, std::int64_t batch, Fn&& fn) {
  Tensor y = empty_codes(type, batch);
  const Slices slices = slice_rows(batch, kImagesPerSlice);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t image = slices[slice].begin; image < slices[slice].end; ++image) {
      fn(image, y.data<std::uint8_t>().data() + image * type.shape.elements());
    }
  });
  return y;
}

/// The node by itself, as Detent computes it.
Compute compute_alone(const Model& model, const Node& node, std::int64_t batch) {
  Model alone;
  Node only = node;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    alone.inputs.push_back({"input " + std::to_string(i), model.type(node.inputs[i])});
    only.inputs[i] = i;
  }
  only.name = "node";
  alone.output = alone.inputs.size();
  alone.nodes.push_back(std::move(only));
  // Of a model without codes, a plan that keeps its values gives the floats that one with codes gives.
  const auto plan = std::make_shared<Plan>(alone, batch, PlanOptions{.keeps_values = true});
  return [plan, inputs = node.inputs, type = node.output](std::span<const Tensor> values) {
    std::vector<Tensor> given;
    std::ranges::transform(inputs, std::back_inserter(given), [&](ValueId input) { return values[input]; });
    return plan->run(given).with_qparams(type.qparams);
  };
}

/// Whether two tables agree on all codes that `from` has.
bool starts_as(Codes table, const kernels::CodeTable& other, const ValueType& from) {
  return std::equal(other.begin(), other.begin() + from.qparams->codes.qmax + 1, table.begin());
}

/// What the function that `table` was made from gives for each code, if it is a known one.
std::optional<kernels::CodeReals> reals_of_table(Codes table, const ValueType& from, const ValueType& to) {
  const kernels::CodeReals x = kernels::reals_of_codes(real_map(from));
  for (const auto& [name, function] : kernels::activation_names()) {
    kernels::CodeReals y{};
    kernels::activation_forward(function, static_cast<std::int64_t>(x.size()), x.data(), y.data());
    if (starts_as(table, kernels::make_code_table(y, real_map(to), to.qparams->codes), from)) {
      return y;
    }
  }
  return std::nullopt;
}

Compute compute_table(const kernels::CodeTable& table, const Node& node, std::int64_t batch) {
  return [table, input = node.inputs[0], type = node.output, batch](std::span<const Tensor> values) {
    return by_images(type, batch, [&](std::int64_t image, std::uint8_t* y) {
      const Codes x = image_of<std::uint8_t>(values[input], image);
      const auto count = static_cast<std::int64_t>(x.size());
      kernels::lookup(table.data(), x.data(), 1, count, y, count);
    });
  };
}

/// What computes a node of codes by the target's rule; null where it has none, or nothing is rounded.
struct MakeCompute {
  const Model& model;
  const Node& node;
  std::int64_t batch;
  kernels::RoundingTarget target;

  const ValueType& in(std::size_t i = 0) const { return model.type(node.inputs[i]); }
  const ValueType& out() const { return node.output; }

  Compute operator()(const Quantize&) const {
    return [target = target, batch = batch, input = node.inputs[0], type = out()](std::span<const Tensor> values) {
      return by_images(type, batch, [&](std::int64_t image, std::uint8_t* y) {
        for (const float x : image_of<float>(values[input], image)) {
          *y++ = static_cast<std::uint8_t>(kernels::quantize(target, x, real_map(type), type.qparams->codes));
        }
      });
    };
  }

  Compute operator()(const Product& product) const {
    const QParams& weight = *product.weight.qparams();
    if (weight.is_per_group()) {
      return nullptr;
    }
    const std::span<const std::int32_t> bias =
        product.bias.defined() ? product.bias.data<std::int32_t>() : std::span<const std::int32_t>();
    const kernels::ProductRounding rounding(target, real_map(in()), weight, bias, product.shape.o,
                                            output_codes(out(), product.relu));
    const kernels::PackedWeight packed =
        kernels::pack_integer(product.shape, product.weight.data<std::int8_t>().data(), nullptr,
                              {.x = in().qparams->codes.qmax, .weight = weight.codes.qmax});
    kernels::ConvShape shape = product.shape;
    shape.n = batch;
    return [rounding, packed, shape, zero_point = real_map(in()).zero_point, input = node.inputs[0],
            type = out()](std::span<const Tensor> values) {
      Tensor y = empty_codes(type, shape.n);
      std::uint8_t* const codes = y.data<std::uint8_t>().data();
      kernels::conv2d_integer(shape, values[input].data<std::uint8_t>().data(), zero_point, packed,
                              [&](std::int64_t, Range images, const std::int32_t* acc) {
                                rounding.codes(acc, images.size() * shape.out_h() * shape.out_w(),
                                               codes + images.begin * shape.output_row());
                              });
      return y;
    };
  }

  Compute operator()(const Add& add) const {
    const kernels::AddRounding rounding(target, real_map(in(0)), real_map(in(1)), output_codes(out(), add.relu));
    return [rounding, inputs = node.inputs, type = out(), batch = batch](std::span<const Tensor> values) {
      return by_images(type, batch, [&](std::int64_t image, std::uint8_t* y) {
        rounding.codes(image_of<std::uint8_t>(values[inputs[0]], image),
                       image_of<std::uint8_t>(values[inputs[1]], image), y);
      });
    };
  }

  Compute operator()(const Concat&) const {
    std::vector<kernels::CodeTable> tables;
    std::vector<std::int64_t> widths;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      tables.push_back(kernels::requantization_table(target, real_map(in(i)), real_map(out()), out().qparams->codes));
      widths.push_back(in(i).shape.extents().back());
    }
    return [tables, widths, inputs = node.inputs, type = out(), batch = batch](std::span<const Tensor> values) {
      const std::int64_t stride = type.shape.extents().back();
      return by_images(type, batch, [&](std::int64_t image, std::uint8_t* y) {
        for (std::size_t i = 0; i < inputs.size(); y += widths[i], ++i) {
          const Codes x = image_of<std::uint8_t>(values[inputs[i]], image);
          kernels::lookup(tables[i].data(), x.data(), type.shape.elements() / stride, widths[i], y, stride);
        }
      });
    };
  }

  Compute operator()(const Pool& pool) const {
    if (pool.kind == PoolKind::Max) {
      return nullptr;
    }
    const kernels::AverageRounding rounding(target, real_map(in()), pool.shape.window(), real_map(out()),
                                            out().qparams->codes);
    return [rounding, shape = pool.shape, input = node.inputs[0], type = out(),
            batch = batch](std::span<const Tensor> values) {
      return by_images(type, batch, [&](std::int64_t image, std::uint8_t* y) {
        average(rounding, shape, image_of<std::uint8_t>(values[input], image), y);
      });
    };
  }
  static void average(const kernels::AverageRounding& rounding, const kernels::PoolShape& s, Codes x, std::uint8_t* y) {
    std::vector<std::uint8_t> window;
    for (std::int64_t row = 0; row < s.out_h(); ++row) {
      for (std::int64_t column = 0; column < s.out_w(); ++column) {
        const std::int64_t top = row * s.stride_h - s.padding.top;
        const std::int64_t left = column * s.stride_w - s.padding.left;
        for (std::int64_t c = 0; c < s.c; ++c) {
          window.clear();
          for (std::int64_t i = std::max<std::int64_t>(top, 0); i < std::min(top + s.kh, s.h); ++i) {
            for (std::int64_t j = std::max<std::int64_t>(left, 0); j < std::min(left + s.kw, s.w); ++j) {
              window.push_back(x[static_cast<std::size_t>((i * s.w + j) * s.c + c)]);
            }
          }
          *y++ = rounding.code(window);
        }
      }
    }
  }

  Compute operator()(const Lookup& lookup) const {
    if (lookup.table.shape().rank() == 2) {
      return nullptr;
    }
    const Codes table = lookup.table.data<std::uint8_t>();
    const ScaleZero from = real_map(in()), to = real_map(out());
    const CodeRange codes = out().qparams->codes;
    if (starts_as(table, kernels::requantization_table(from, to, codes), in())) {
      return compute_table(kernels::requantization_table(target, from, to, codes), node, batch);
    }
    if (const std::optional<kernels::CodeReals> reals = reals_of_table(table, in(), out())) {
      return compute_table(kernels::make_code_table(target, *reals, to, codes), node, batch);
    }
    return nullptr;
  }

  Compute operator()(const Softmax&) const {
    if (!kernels::has_softmax(target)) {
      return nullptr;
    }
    return [target = target, input = node.inputs[0], from = real_map(in()), type = out(),
            batch = batch](std::span<const Tensor> values) {
      const auto channels = static_cast<std::size_t>(type.shape.extents().back());
      return by_images(type, batch, [&](std::int64_t image, std::uint8_t* y) {
        const Codes x = image_of<std::uint8_t>(values[input], image);
        for (std::size_t first = 0; first < x.size(); first += channels) {
          kernels::softmax(target, x.subspan(first, channels), from, real_map(type), type.qparams->codes, y + first);
        }
      });
    };
  }

  /// Of floats, or of any codes: Detent's.
  template <typename Other>
  Compute operator()(const Other&) const {
    return nullptr;
  }
};

bool rounds(const Node& node) {
  const auto* const pool = std::get_if<Pool>(&node.op);
  return node.output.is_codes() && !std::holds_alternative<Reshape>(node.op) &&
         (pool == nullptr || pool->kind == PoolKind::Average);
}

}  // namespace

TargetPlan::TargetPlan(const Model& model, std::int64_t batch, kernels::RoundingTarget target)
    : model_(model), batch_(batch) {
  check(batch >= 1, "target plan: expected a batch of at least 1, got ", batch);
  model_.validate();
  for (const Node& node : model_.nodes) {
    const bool is_rounded = rounds(node);
    Compute compute = is_rounded ? std::visit(MakeCompute{model_, node, batch, target}, node.op) : nullptr;
    const bool is_targets = compute || target == kernels::RoundingTarget::Detent;
    const RuleUsed rule = !is_rounded ? RuleUsed::None : is_targets ? RuleUsed::Target : RuleUsed::Detents;
    steps_.push_back({compute ? std::move(compute) : compute_alone(model_, node, batch), rule});
  }
}

std::vector<Tensor> TargetPlan::run(std::span<const Tensor> inputs) const {
  check(inputs.size() == model_.inputs.size(), "target plan: expected ", model_.inputs.size(), " inputs, got ",
        inputs.size());
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = model_.inputs[i].type;
    const Shape shape = type.shape.batched(batch_);
    check(inputs[i].defined() && inputs[i].dtype() == type.dtype && inputs[i].shape() == shape,
          "target plan: ", model_.inputs[i].name, ": expected ", type.dtype, " ", shape, ", got ", inputs[i].dtype(),
          " ", inputs[i].shape());
    values.push_back(inputs[i].with_qparams(type.qparams));
  }
  for (const Step& step : steps_) {
    values.push_back(step.compute(values));
  }
  return values;
}

}  // namespace detent::runtime
