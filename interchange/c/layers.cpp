#include "detent/interchange/c/layers.h"

#include <algorithm>
#include <cmath>

#include "detent/core/error.h"
#include "detent/interchange/c/product_constants.h"
#include "detent/kernels/codes/lookup.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/rounding_target.h"
#include "detent/runtime/target_plan.h"

namespace detent::interchange::c {
namespace {

using kernels::RoundingTarget;
using runtime::Node;
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

class Writer {
 public:
  Writer(const Program& program, Requantize requantize, Identifiers& names, Layers& layers)
      : program_(program), is_fixed_(requantize == Requantize::Fixed), names_(names), layers_(layers) {}

  Layer write(std::size_t index) {
    node_ = &program_.model->nodes[index];
    index_ = index;
    layer_ = {};
    layer_.name = names_.take("layer_" + identifier(node_->name));
    std::visit(*this, node_->op);
    return std::move(layer_);
  }

  void operator()(const runtime::Product& product) {
    const kernels::ConvShape& s = product.shape;
    const bool is_linear = s.is_linear();
    layer_.operation = is_linear               ? "linear"
                       : is_depthwise(product) ? "depthwise " + extent(s.kh, s.kw)
                                               : "convolution " + extent(s.kh, s.kw);
    if (s.groups > 1 && !is_depthwise(product)) {
      layer_.operation += " in " + number(s.groups) + " groups";
    }
    layer_.products = s.output_row() * s.depth();
    const ProductConstants constants =
        product_constants(product, map(0), out(), layer_.name, names_, is_fixed_ ? Requantize::Fixed : Requantize::F32);
    layer_.definitions = constants.definitions;
    layer_.constant_bytes = constants.bytes;
    use(is_fixed_ ? "product_fixed" : "product_f32");
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
    if (is_by_pixel(product)) {
      use("multiply");
      call("multiply(&" + layer_.name + ", " + dot + ", " + in() + ", " + number(s.h * s.w) + ", " + y() + ")");
    } else {
      use("convolve");
      call("convolve(&" + layer_.name + ", " + dot + ", " + in() + ", " + program_.scratch[index_] + ", " + y() + ")");
    }
  }

  void operator()(const runtime::Add& add) {
    layer_.operation = add.relu ? "addition, ReLU" : "addition";
    use("rounding");
    use(is_fixed_ ? "add_fixed" : "add_f32");
    const ScaleZero a = map(0), b = map(1), to = out().qparams->tensor();
    const CodeRange range = kernels::OutputCodes{.map = to, .codes = out().qparams->codes, .relu = add.relu}.clamped();
    std::string fields;
    if (is_fixed_) {
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
    layer_.definitions = "static const sum " + layer_.name + " = {\n    " + fields +
                         ".a_zero = " + number(a.zero_point) + ", .b_zero = " + number(b.zero_point) +
                         ", .zero = " + number(to.zero_point) + ", .lowest = " + number(range.qmin) +
                         ", .highest = " + number(range.qmax) + "};\n";
    layer_.constant_bytes = is_fixed_ ? 20 : 16;
    call("add(&" + layer_.name + ", " + in(0) + ", " + in(1) + ", " + elements() + ", " + y() + ")");
  }

  void operator()(const runtime::Concat&) {
    layer_.operation = "concatenation";
    const std::int64_t stride = out().shape.extents().back();
    const std::string rows = number(out().shape.elements() / stride);
    std::int64_t first = 0;
    for (std::size_t i = 0; i < node_->inputs.size(); ++i) {
      const std::int64_t columns = type(i).shape.extents().back();
      const kernels::CodeTable table =
          kernels::requantization_table(is_fixed_ ? RoundingTarget::Tflite : RoundingTarget::Detent, map(i),
                                        out().qparams->tensor(), out().qparams->codes);
      const std::string rest = in(i) + ", " + rows + ", " + number(columns) + ", " + y() +
                               (first == 0 ? "" : " + " + number(first)) + ", " + number(stride) + ")";
      if (kernels::is_identity(table, type(i).qparams->codes.qmax)) {
        use("join");
        call("join(" + rest);
      } else {
        use("look_up");
        call("look_up(" + define_table(table, number(i)) + ", " + rest);
      }
      first += columns;
    }
  }

  void operator()(const runtime::Pool& pool) {
    const kernels::PoolShape& s = pool.shape;
    use("pool_type");
    std::string more;
    if (pool.kind == runtime::PoolKind::Max) {
      layer_.operation = "max-pool " + extent(s.kh, s.kw);
      use("max_pool");
    } else {
      layer_.operation = "average-pool " + extent(s.kh, s.kw);
      use("average_sum");
      use(is_fixed_ ? "average_fixed" : "average_f32");
      const ScaleZero from = map(0), to = out().qparams->tensor();
      const CodeRange codes = out().qparams->codes;
      more = ", " + number(from.zero_point);
      if (is_fixed_) {
        more += ", " + define_table(kernels::requantization_table(RoundingTarget::Tflite, from, to, codes), "table");
      } else {
        use("rounding");
        more += ", " + number(kernels::make_average_requantization(from, s.window(), 1, to, codes).multiplier[0]) +
                ", " + number(to.zero_point) + ", " + number(codes.qmin) + ", " + number(codes.qmax);
      }
    }
    layer_.definitions += "static const window " + layer_.name + " = {\n    .height = " + number(s.h) +
                          ", .width = " + number(s.w) + ", .channels = " + number(s.c) +
                          ", .out_height = " + number(s.out_h()) + ", .out_width = " + number(s.out_w()) +
                          ",\n    .kernel_height = " + number(s.kh) + ", .kernel_width = " + number(s.kw) +
                          ", .stride_y = " + number(s.stride_h) + ", .stride_x = " + number(s.stride_w) +
                          ", .top = " + number(s.padding.top) + ", .left = " + number(s.padding.left) + "};\n";
    layer_.constant_bytes += 44;
    call((pool.kind == runtime::PoolKind::Max ? "max_pool(&" : "average_pool(&") + layer_.name + ", " + in() + more +
         ", " + y() + ")");
  }

  void operator()(const runtime::Lookup& lookup) {
    const auto given = lookup.table.data<std::uint8_t>();
    const bool is_by_channel = lookup.table.shape().rank() == 2;
    layer_.operation = is_by_channel ? "table a channel" : "table";
    std::vector<std::uint8_t> table(given.begin(), given.end());
    if (is_fixed_ && !is_by_channel) {
      table = table_of_target(lookup, type(0), out());
    }
    const std::string name = define_table(table, "table");
    if (is_by_channel) {
      const std::int64_t channels = out().shape.extents().back();
      use("look_up_by_channel");
      call("look_up_by_channel(" + name + ", " + in() + ", " + number(out().shape.elements() / channels) + ", " +
           number(channels) + ", " + y() + ")");
    } else {
      use("look_up");
      call("look_up(" + name + ", " + in() + ", 1, " + elements() + ", " + y() + ", " + elements() + ")");
    }
  }

  void operator()(const runtime::Softmax& softmax) {
    layer_.operation = "softmax";
    const std::string table = names_.take(layer_.name + "_table");
    layer_.definitions = array(table, softmax.table.data<std::int32_t>());
    layer_.constant_bytes = 1024;
    const std::int64_t columns = out().shape.extents().back();
    const ScaleZero to = out().qparams->tensor();
    const CodeRange codes = out().qparams->codes;
    use("softmax_row");
    std::string rounding;
    if (is_fixed_) {
      use("softmax_fixed");
      rounding = number(-std::ilogb(to.scale)) + ", " + number(codes.qmax);
    } else {
      use("quantize");
      use("softmax_f32");
      rounding =
          number(to.scale) + ", " + number(to.zero_point) + ", " + number(codes.qmin) + ", " + number(codes.qmax);
    }
    call("softmax(" + table + ", " + in() + ", " + number(out().shape.elements() / columns) + ", " + number(columns) +
         ", " + rounding + ", " + y() + ")");
  }

  /// Of numbers, or none that make_program makes a step.
  template <typename Other>
  void operator()(const Other& other) {
    fail("export: c: '", node_->name, "': ", runtime::name_of(runtime::Op(other)), " is no step");
  }

 private:
  const ValueType& type(std::size_t i) const { return program_.type(node_->inputs[i]); }
  const ValueType& out() const { return node_->output; }
  ScaleZero map(std::size_t i) const { return type(i).qparams->tensor(); }
  const std::string& in(std::size_t i = 0) const { return program_.address[node_->inputs[i]]; }
  const std::string& y() const { return program_.address[program_.model->value_of(index_)]; }
  std::string elements() const { return number(out().shape.elements()); }

  void use(const std::string& kernel) { layers_.kernels.insert(kernel); }
  void call(const std::string& text) { layer_.calls += "  " + text + ";\n"; }
  std::string define_table(std::span<const std::uint8_t> table, const std::string& suffix) {
    const std::string name = names_.take(layer_.name + "_" + suffix);
    layer_.definitions += array(name, table);
    layer_.constant_bytes += static_cast<std::int64_t>(table.size());
    return name;
  }

  const Program& program_;
  bool is_fixed_;
  Identifiers& names_;
  Layers& layers_;
  const Node* node_ = nullptr;
  std::size_t index_ = 0;
  Layer layer_ = {};
};

}  // namespace

Layers write_layers(const Program& program, Requantize requantize, Identifiers& names) {
  Layers layers;
  Writer writer(program, requantize, names, layers);
  for (const std::size_t node : program.steps) {
    layers.steps.push_back(writer.write(node));
  }
  return layers;
}

}  // namespace detent::interchange::c
