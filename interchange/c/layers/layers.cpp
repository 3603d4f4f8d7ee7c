#include "detent/interchange/c/layers/layers.h"

#include <algorithm>
#include <cmath>

#include "detent/interchange/c/layers/layer_writer.h"
#include "detent/interchange/c/layers/product_constants.h"
#include "detent/interchange/c/support.h"
#include "detent/kernels/codes/lookup.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/rounding_target.h"
#include "detent/runtime/target_plan.h"

namespace detent::interchange::c {
namespace {

using kernels::RoundingTarget;
using runtime::ValueType;

std::string extent(std::int64_t h, std::int64_t w) { return number(h) + " x " + number(w); }

/// The codes that a table gives under TFLite's rule, where the target plan has one for it.
std::vector<std::uint8_t> table_of_target(const runtime::Lookup& lookup, const ValueType& from, const ValueType& to) {
  const auto of_256 = [](ValueType type) {
    type.shape = {256};
    return type;
  };
  runtime::Model alone;
  alone.inputs = {{"codes", of_256(from)}};
  alone.nodes = {{.name = "table", .op = lookup, .inputs = {0}, .output = of_256(to)}};
  alone.output = 1;
  Tensor all = Tensor::empty({1, 256}, DType::U8);
  for (std::size_t q = 0; q < 256; ++q) {
    all.data<std::uint8_t>()[q] = static_cast<std::uint8_t>(q);
  }
  const std::vector<Tensor> values = runtime::TargetPlan(alone, 1, RoundingTarget::Tflite).run(std::span(&all, 1));
  const auto table = values.back().data<std::uint8_t>();
  return {table.begin(), table.end()};
}

}  // namespace

Layer LayerWriter::write(std::size_t index) {
  node_ = &program_.model->nodes[index];
  index_ = index;
  layer_ = {};
  layer_.name = names_.take("layer_" + identifier(node_->name));
  std::visit(*this, node_->op);
  return std::move(layer_);
}

void LayerWriter::describe(const kernels::ConvShape& s, bool is_depthwise, std::string_view more) {
  layer_.operation = s.is_linear() ? "linear" : (is_depthwise ? "depthwise " : "convolution ") + extent(s.kh, s.kw);
  if (s.groups > 1 && !is_depthwise) {
    layer_.operation += " in " + number(s.groups) + " groups";
  }
  layer_.operation += more;
  layer_.products = s.output_row() * s.depth();
}

void LayerWriter::take_constants(const ProductConstants& constants) {
  layer_.definitions = constants.definitions;
  layer_.constant_bytes = constants.bytes;
}

void LayerWriter::operator()(const runtime::Product& product) {
  const kernels::ConvShape& s = product.shape;
  if (!out().is_codes()) {
    describe(s, false, takes_bf16(product) ? ", bf16" : ", f32");
    product_of_numbers(product_constants(product, layer_.name, names_), s);
    return;
  }
  describe(s, is_depthwise(product), "");
  const ProductConstants constants = product_constants(product, map(0), out(), layer_.name, names_, requantize_);
  take_constants(constants);
  use(is_fixed() ? "product_fixed" : "product_f32");
  use("product_type");
  use("rounding");
  const std::string dot = "dot_" + number(constants.weight_bits);
  if (is_depthwise(product)) {
    use("depthwise");
    call("convolve_depthwise(&" + layer_.name + ", " + in() + ", " + y() + ")");
    return;
  }
  use(dot);
  use(product.weight.qparams()->is_per_group() ? "product_groups" : "product_outputs");
  if (is_by_pixel(s)) {
    use("multiply");
    call("multiply(&" + layer_.name + ", " + dot + ", " + in() + ", " + number(s.h * s.w) + ", " + y() + ")");
  } else {
    use("gather");
    use("convolve");
    call("convolve(&" + layer_.name + ", " + dot + ", " + in() + ", " + scratch() + ", " + y() + ")");
  }
}

void LayerWriter::operator()(const runtime::Add& add) {
  layer_.operation = add.relu ? "addition, ReLU" : "addition";
  if (!out().is_codes()) {
    use("add_numbers");
    call("add_numbers(" + in(0) + ", " + in(1) + ", " + elements() + ", " + (add.relu ? "1, " : "0, ") + y() + ")");
    return;
  }
  use("rounding");
  use(is_fixed() ? "add_fixed" : "add_f32");
  const ScaleZero a = map(0), b = map(1), to = out().qparams->tensor();
  const CodeRange range = kernels::OutputCodes{.map = to, .codes = out().qparams->codes, .relu = add.relu}.clamped();
  std::string fields;
  if (is_fixed()) {
    // The formulas of kernels/codes/targets/rounding_target.h.
    const double twice = 2.0 * std::max(double{a.scale}, double{b.scale});
    const auto field = [&](const std::string& prefix, double real) {
      const kernels::fixed_point::Multiplier m = kernels::fixed_point::multiplier_of(real);
      fields += "." + prefix + "mantissa = " + number(m.mantissa) + ", ." + prefix +
                "shift = " + number(std::clamp(m.shift, -127, 127)) + ",\n    ";
    };
    field("a_", double{a.scale} / twice);
    field("b_", double{b.scale} / twice);
    field("", twice / (std::ldexp(1.0, 20) * double{to.scale}));
  } else {
    fields = ".a_multiplier = " + number(kernels::multiplier_of(double{a.scale} / double{to.scale})) +
             ", .b_multiplier = " + number(kernels::multiplier_of(double{b.scale} / double{to.scale})) + ",\n    ";
  }
  layer_.definitions = "static const sum " + layer_.name + " = {\n    " + fields + ".a_zero = " + number(a.zero_point) +
                       ", .b_zero = " + number(b.zero_point) + ", .zero = " + number(to.zero_point) +
                       ", .lowest = " + number(range.qmin) + ", .highest = " + number(range.qmax) + "};\n";
  layer_.constant_bytes = is_fixed() ? 20 : 16;
  call("add(&" + layer_.name + ", " + in(0) + ", " + in(1) + ", " + elements() + ", " + y() + ")");
}

void LayerWriter::operator()(const runtime::Concat&) {
  layer_.operation = "concatenation";
  const std::int64_t stride = out().shape.extents().back();
  const std::string rows = number(out().shape.elements() / stride);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < node_->inputs.size(); ++i) {
    const std::int64_t columns = type(i).shape.extents().back();
    const std::string rest = in(i) + ", " + rows + ", " + number(columns) + ", " + y() +
                             (first == 0 ? "" : " + " + number(first)) + ", " + number(stride) + ")";
    first += columns;
    if (!out().is_codes()) {
      use("join_numbers");
      call("join_numbers(" + rest);
      continue;
    }
    const kernels::CodeTable table =
        kernels::requantization_table(target(), map(i), out().qparams->tensor(), out().qparams->codes);
    if (kernels::is_identity(table, type(i).qparams->codes.qmax)) {
      use("join");
      call("join(" + rest);
    } else {
      use("look_up");
      call("look_up(" + define(std::span<const std::uint8_t>(table), number(i)) + ", " + rest);
    }
  }
}

void LayerWriter::define_window(const kernels::PoolShape& s) {
  layer_.definitions += "static const window " + layer_.name + " = {\n    .height = " + number(s.h) +
                        ", .width = " + number(s.w) + ", .channels = " + number(s.c) +
                        ", .out_height = " + number(s.out_h()) + ", .out_width = " + number(s.out_w()) +
                        ",\n    .kernel_height = " + number(s.kh) + ", .kernel_width = " + number(s.kw) +
                        ", .stride_y = " + number(s.stride_h) + ", .stride_x = " + number(s.stride_w) +
                        ", .top = " + number(s.padding.top) + ", .left = " + number(s.padding.left) + "};\n";
  layer_.constant_bytes += 44;
}

void LayerWriter::operator()(const runtime::Pool& pool) {
  const kernels::PoolShape& s = pool.shape;
  const bool is_max = pool.kind == runtime::PoolKind::Max;
  layer_.operation = (is_max ? "max-pool " : "average-pool ") + extent(s.kh, s.kw);
  use("pool_type");
  if (!is_max && out().is_codes()) {
    average_of_codes(pool);
    return;
  }
  define_window(s);
  const std::string function = std::string(is_max ? "max_pool" : "average_pool") + (out().is_codes() ? "" : "_numbers");
  use(function);
  call(function + "(&" + layer_.name + ", " + in() + ", " + y() + ")");
}

void LayerWriter::average_of_codes(const runtime::Pool& pool) {
  const ScaleZero from = map(0), to = out().qparams->tensor();
  const CodeRange codes = out().qparams->codes;
  use("average_sum");
  use(is_fixed() ? "average_fixed" : "average_f32");
  std::string rounding;
  if (is_fixed()) {
    const kernels::CodeTable table = kernels::requantization_table(RoundingTarget::Tflite, from, to, codes);
    rounding = define(std::span<const std::uint8_t>(table), "table");
  } else {
    use("rounding");
    rounding = number(kernels::make_average_requantization(from, pool.shape.window(), 1, to, codes).multiplier[0]) +
               ", " + number(to.zero_point) + ", " + number(codes.qmin) + ", " + number(codes.qmax);
  }
  define_window(pool.shape);
  call("average_pool(&" + layer_.name + ", " + in() + ", " + number(from.zero_point) + ", " + rounding + ", " + y() +
       ")");
}

void LayerWriter::operator()(const runtime::Lookup& lookup) {
  const auto given = lookup.table.data<std::uint8_t>();
  const bool is_by_channel = lookup.table.shape().rank() == 2;
  layer_.operation = is_by_channel ? "table a channel" : "table";
  std::vector<std::uint8_t> table(given.begin(), given.end());
  if (is_fixed() && !is_by_channel) {
    table = table_of_target(lookup, type(0), out());
  }
  const std::string name = define(std::span<const std::uint8_t>(table), "table");
  if (is_by_channel) {
    use("look_up_by_channel");
    call("look_up_by_channel(" + name + ", " + in() + ", " + number(out().shape.elements() / channels()) + ", " +
         number(channels()) + ", " + y() + ")");
  } else {
    use("look_up");
    call("look_up(" + name + ", " + in() + ", 1, " + elements() + ", " + y() + ", " + elements() + ")");
  }
}

void LayerWriter::operator()(const runtime::Softmax& softmax) {
  layer_.operation = "softmax";
  const std::string table = define(std::span<const std::int32_t>(softmax.table.data<std::int32_t>()), "table");
  const std::int64_t columns = out().shape.extents().back();
  const ScaleZero to = out().qparams->tensor();
  const CodeRange codes = out().qparams->codes;
  use("softmax_row");
  std::string rounding;
  if (is_fixed()) {
    use("softmax_fixed");
    rounding = number(-std::ilogb(to.scale)) + ", " + number(codes.qmax);
  } else {
    use("quantize");
    use("softmax_f32");
    rounding = number(to.scale) + ", " + number(to.zero_point) + ", " + number(codes.qmin) + ", " + number(codes.qmax);
  }
  call("softmax(" + table + ", " + in() + ", " + number(out().shape.elements() / columns) + ", " + number(columns) +
       ", " + rounding + ", " + y() + ")");
}

Layers write_layers(const Program& program, Requantize requantize, Identifiers& names) {
  Layers layers;
  LayerWriter writer(program, requantize, names, layers);
  for (const std::size_t node : program.steps) {
    layers.steps.push_back(writer.write(node));
  }
  return layers;
}

}  // namespace detent::interchange::c
