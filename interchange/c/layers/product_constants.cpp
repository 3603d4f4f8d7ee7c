#include "detent/interchange/c/layers/product_constants.h"

#include <algorithm>

#include "detent/interchange/c/layers/packed_rows.h"
#include "detent/interchange/c/support.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/rounding_target.h"

namespace detent::interchange::c {
namespace {

using kernels::ConvShape;
using runtime::HybridProduct;
using runtime::Product;

std::string zeros_and_limits(ScaleZero input, ScaleZero output, CodeRange range) {
  return ".input_zero = " + number(input.zero_point) + ", .output_zero = " + number(output.zero_point) +
         ", .lowest = " + number(range.qmin) + ", .highest = " + number(range.qmax);
}

void add_fixed_rounding(ProductWriter& writer, const QParams& map, std::int64_t outputs, double input, double output) {
  std::vector<std::int32_t> mantissa;
  std::vector<std::int8_t> shift;
  for (std::size_t o = 0; o < static_cast<std::size_t>(outputs); ++o) {
    const kernels::fixed_point::Multiplier m =
        kernels::fixed_point::multiplier_of(input * double{map.scale_of(o)} / output);
    mantissa.push_back(m.mantissa);
    shift.push_back(static_cast<std::int8_t>(std::clamp(m.shift, -127, 127)));
  }
  writer.define("mantissa", std::span<const std::int32_t>(mantissa));
  writer.define("shift", std::span<const std::int8_t>(shift));
}

/// Of products of numbers: their bias, and what their struct has for them alone.
void add_of_numbers(ProductWriter& writer, const Tensor& bias, bool relu, std::int64_t blocks, int bits) {
  if (bias.defined()) {
    writer.define("bias", std::span<const float>(bias.data<float>()));
  }
  writer.add("blocks", blocks);
  writer.add("weight_bits", bits);
  writer.add("relu", relu ? 1 : 0);
}

}  // namespace

ProductConstants product_constants(const Product& product, ScaleZero input, const runtime::ValueType& output,
                                   const std::string& name, Identifiers& names, Requantize requantize) {
  const ConvShape& s = product.shape;
  const QParams& map = *product.weight.qparams();
  const kernels::OutputCodes codes{
      .map = output.qparams->tensor(), .codes = output.qparams->codes, .relu = product.relu};
  ProductWriter writer(name, names);
  const auto weight = product.weight.data<std::int8_t>();
  const int bits = is_depthwise(product) ? 8 : bits_of(weight, map.codes.qmax);
  const PackedRows rows(s, weight, map, bits);
  writer.define_weight(rows);
  if (!is_depthwise(product)) {
    std::vector<std::int32_t> start;
    for (const std::int64_t sum : rows.sums()) {
      start.push_back(static_cast<std::int32_t>(-input.zero_point * sum));
    }
    writer.define("start", std::span<const std::int32_t>(start));
  }
  writer.add("block", rows.block());
  const auto bias = product.bias.defined() ? product.bias.data<std::int32_t>() : std::span<const std::int32_t>();
  if (requantize == Requantize::Fixed) {
    if (!bias.empty()) {
      writer.define("bias", bias);
    }
    add_fixed_rounding(writer, map, s.o, double{input.scale}, double{codes.map.scale});
  } else {
    const kernels::Requantization r =
        kernels::make_requantization(input, map, {}, s.o, codes.map, codes.codes, product.relu);
    if (!bias.empty()) {
      const std::vector<float> as_f32(bias.begin(), bias.end());
      writer.define("bias", std::span<const float>(as_f32));
    }
    writer.define("multiplier", std::span<const float>(r.multiplier));
    if (map.is_per_group()) {
      writer.define("bias_multiplier", std::span<const float>(r.bias_multiplier));
      writer.add("blocks", map.groups);
      writer.add("weight_bits", bits);
    }
  }
  const std::string text = writer.finish(s, rows.row_bytes(), zeros_and_limits(input, codes.map, codes.clamped()));
  return {.definitions = text, .bytes = writer.bytes(), .weight_bits = bits};
}

ProductConstants product_constants(const HybridProduct& product, const std::string& name, Identifiers& names) {
  const ConvShape& s = product.shape;
  const QParams& map = *product.weight.qparams();
  const auto weight = product.weight.data<std::int8_t>();
  ProductWriter writer(name, names);
  const PackedRows rows(s, weight, map, bits_of(weight, map.codes.qmax));
  writer.define_weight(rows);
  if (product.dynamic) {
    const std::vector<std::int32_t> sums(rows.sums().begin(), rows.sums().end());
    writer.define("start", std::span<const std::int32_t>(sums));
  }
  writer.add("block", rows.block());
  std::vector<float> scales;
  for (std::int64_t g = 0; g < map.groups; ++g) {
    for (std::int64_t o = 0; o < s.o; ++o) {
      scales.push_back(map.scale_of(static_cast<std::size_t>(o), g));
    }
  }
  writer.define("multiplier", std::span<const float>(scales));
  add_of_numbers(writer, product.bias, product.relu, map.groups, rows.bits());
  const CodeRange codes = product.dynamic.value_or(CodeRange{0, 0});
  const std::string text = writer.finish(s, rows.row_bytes(), zeros_and_limits({}, {}, codes));
  return {.definitions = text, .bytes = writer.bytes(), .weight_bits = rows.bits()};
}

ProductConstants product_constants(const Product& product, const std::string& name, Identifiers& names) {
  const ConvShape& s = product.shape;
  const bool is_bf16 = product.weight.dtype() == DType::BF16;
  const int bits = is_bf16 ? 16 : 32;
  ProductWriter writer(name, names);
  if (is_bf16) {
    const auto* const halves = reinterpret_cast<const std::uint16_t*>(product.weight.data<bfloat16>().data());
    writer.define("weight", std::span(halves, static_cast<std::size_t>(product.weight.elements())));
  } else {
    writer.define("weight", std::span<const float>(product.weight.data<float>()));
  }
  writer.add("block", s.c / s.groups);
  add_of_numbers(writer, product.bias, product.relu, 1, bits);
  const std::string text = writer.finish(s, s.depth() * bits / 8, zeros_and_limits({}, {}, {0, 0}));
  return {.definitions = text, .bytes = writer.bytes(), .weight_bits = bits};
}

std::string product_fields(Requantize requantize, bool has_blocks, bool has_numbers) {
  std::string fields = "  int32_t block;                   /* channels of a group that share a scale */\n";
  if (requantize == Requantize::Fixed) {
    return fields +
           "  const int32_t *bias;             /* 0: none */\n"
           "  const int32_t *mantissa;         /* of the factor input_scale * weight_scale[o] / output_scale: */\n"
           "  const int8_t *shift;             /* mantissa / 2^31 * 2^shift */\n";
  }
  fields +=
      "  const float *bias;               /* 0: none */\n"
      "  const float *multiplier;         /* input_scale * weight_scale[o] / output_scale */\n";
  if (has_blocks || has_numbers) {
    fields +=
        "  int32_t blocks;                  /* of channels that have a scale each, multiplier[block][o]; 0: no such "
        "*/\n"
        "  int32_t weight_bits;\n"
        "  const float *bias_multiplier;    /* where there are blocks: of the largest scale of an output */\n";
  }
  if (has_numbers) {
    fields +=
        "  int32_t relu;                    /* of products of numbers, whose multiplier is weight_scale, or 0 where\n"
        "                                      weights are numbers, and whose bias_multiplier is 0 */\n";
  }
  return fields;
}

}  // namespace detent::interchange::c
