#include "detent/interchange/c/product_constants.h"

#include <algorithm>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/rounding_target.h"

namespace detent::interchange::c {
namespace {

using runtime::Product;

std::string field(const char* name, std::int64_t value) { return std::string(".") + name + " = " + number(value); }

/// The fewest of 1, 2, 4 and 8 bits that hold the codes: 1 for -1 and 1, 2 for -1 to 1, 4 for -8 to 7.
int bits_of(std::span<const std::int8_t> codes, std::int32_t qmax) {
  if (qmax == 1) {
    return std::ranges::count(codes, std::int8_t{0}) == 0 ? 1 : 2;
  }
  return qmax <= 7 ? 4 : 8;
}

/// Weights in the order in which they are read: output by output, block of channels by block, pixel by pixel.
class PackedRows {
 public:
  PackedRows(const Product& product, int bits) : product_(product), bits_(bits) {
    const kernels::ConvShape& s = product.shape;
    const QParams& map = *product.weight.qparams();
    channels_ = s.c / s.groups;
    block_ = map.is_per_group() ? map.group : channels_;
    const auto codes = product.weight.data<std::int8_t>();
    for (std::int64_t o = 0; o < s.o; ++o) {
      const std::size_t row = bytes_.size();
      for (std::int64_t begin = 0; begin < channels_; begin += block_) {
        add_block(codes.subspan(static_cast<std::size_t>(o * s.depth())), begin, std::min(begin + block_, channels_));
      }
      row_bytes_ = static_cast<std::int64_t>(bytes_.size() - row);
    }
  }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  /// Of each block, the sum of its weights.
  const std::vector<std::int64_t>& sums() const { return sums_; }
  std::int64_t row_bytes() const { return row_bytes_; }
  std::int64_t block() const { return block_; }

 private:
  void add_block(std::span<const std::int8_t> row, std::int64_t begin, std::int64_t end) {
    std::int64_t sum = 0;
    int filled = 8;  // bits of the last byte
    for (std::int64_t pixel = 0; pixel < product_.shape.kh * product_.shape.kw; ++pixel) {
      for (std::int64_t c = begin; c < end; ++c) {
        const std::int8_t code = row[static_cast<std::size_t>(pixel * channels_ + c)];
        sum += code;
        if (filled == 8) {
          bytes_.push_back(0);
          filled = 0;
        }
        const unsigned kept = bits_ == 1 ? (code > 0 ? 1U : 0U) : static_cast<unsigned>(code) & ((1U << bits_) - 1U);
        bytes_.back() = static_cast<std::uint8_t>(bytes_.back() | kept << filled);
        filled += bits_;
      }
    }
    sums_.push_back(sum);
  }

  const Product& product_;
  int bits_;
  std::int64_t channels_ = 0, block_ = 0, row_bytes_ = 0;
  std::vector<std::uint8_t> bytes_ = {};
  std::vector<std::int64_t> sums_ = {};
};

class ConstantsWriter {
 public:
  ConstantsWriter(const std::string& name, Identifiers& names) : name_(name), names_(names) {}

  template <typename T>
  void define(const std::string& what, std::span<const T> values) {
    const std::string name = names_.take(name_ + "_" + what);
    result_.definitions += array(name, values);
    result_.bytes += static_cast<std::int64_t>(values.size_bytes());
    fields_ += ",\n    ." + what + " = " + name;
  }
  void define_weight(const PackedRows& rows) {
    if (result_.weight_bits == 8) {
      const auto* const codes = reinterpret_cast<const std::int8_t*>(rows.bytes().data());
      define("weight", std::span(codes, rows.bytes().size()));
    } else {
      define("weight", std::span<const std::uint8_t>(rows.bytes()));
    }
  }
  void add(const std::string& fields) { fields_ += ",\n    " + fields; }

  ProductConstants finish(const std::string& geometry) {
    result_.definitions += "static const product " + name_ + " = {\n    " + geometry + fields_ + "};\n";
    result_.bytes += 96;
    return std::move(result_);
  }
  ProductConstants& result() { return result_; }

 private:
  const std::string& name_;
  Identifiers& names_;
  std::string fields_ = {};
  ProductConstants result_ = {};
};

std::string geometry_of(const Product& product, ScaleZero input, ScaleZero output, CodeRange range,
                        std::int64_t row_bytes) {
  const kernels::ConvShape& s = product.shape;
  return field("height", s.h) + ", " + field("width", s.w) + ", " + field("channels", s.c) + ", " +
         field("out_height", s.out_h()) + ", " + field("out_width", s.out_w()) + ", " + field("outputs", s.o) +
         ",\n    " + field("kernel_height", s.kh) + ", " + field("kernel_width", s.kw) + ", " +
         field("stride_y", s.stride_h) + ", " + field("stride_x", s.stride_w) + ", " +
         field("dilation_y", s.dilation_h) + ", " + field("dilation_x", s.dilation_w) + ",\n    " +
         field("top", s.padding.top) + ", " + field("left", s.padding.left) + ", " + field("groups", s.groups) + ", " +
         field("depth", s.depth()) + ", " + field("row_bytes", row_bytes) + ",\n    " +
         field("input_zero", input.zero_point) + ", " + field("output_zero", output.zero_point) + ", " +
         field("lowest", range.qmin) + ", " + field("highest", range.qmax);
}

}  // namespace

ProductConstants product_constants(const Product& product, ScaleZero input, const runtime::ValueType& output,
                                   const std::string& name, Identifiers& names, Requantize requantize) {
  const kernels::ConvShape& s = product.shape;
  const QParams& map = *product.weight.qparams();
  const kernels::OutputCodes codes{
      .map = output.qparams->tensor(), .codes = output.qparams->codes, .relu = product.relu};
  ConstantsWriter writer(name, names);
  const int bits = is_depthwise(product) ? 8 : bits_of(product.weight.data<std::int8_t>(), map.codes.qmax);
  writer.result().weight_bits = bits;
  const PackedRows rows(product, bits);
  writer.define_weight(rows);
  if (!is_depthwise(product)) {
    std::vector<std::int32_t> start;
    for (const std::int64_t sum : rows.sums()) {
      start.push_back(static_cast<std::int32_t>(-input.zero_point * sum));
    }
    writer.define("start", std::span<const std::int32_t>(start));
  }
  writer.add(field("block", rows.block()));
  const auto bias = product.bias.defined() ? product.bias.data<std::int32_t>() : std::span<const std::int32_t>();
  if (requantize == Requantize::Fixed) {
    std::vector<std::int32_t> mantissa;
    std::vector<std::int8_t> shift;
    for (std::size_t o = 0; o < static_cast<std::size_t>(s.o); ++o) {
      const kernels::fixed_point::Multiplier m =
          kernels::fixed_point::multiplier_of(double{input.scale} * double{map.scale_of(o)} / double{codes.map.scale});
      mantissa.push_back(m.mantissa);
      shift.push_back(static_cast<std::int8_t>(std::clamp(m.shift, -127, 127)));
    }
    if (!bias.empty()) {
      writer.define("bias", bias);
    }
    writer.define("mantissa", std::span<const std::int32_t>(mantissa));
    writer.define("shift", std::span<const std::int8_t>(shift));
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
      writer.add(field("blocks", map.groups) + ", " + field("weight_bits", bits));
    }
  }
  return writer.finish(geometry_of(product, input, codes.map, codes.clamped(), rows.row_bytes()));
}

std::string product_fields(Requantize requantize, bool has_groups) {
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
  if (has_groups) {
    fields +=
        "  int32_t blocks;                  /* of channels that have a scale each, multiplier[block][o]; 0: no such "
        "*/\n"
        "  int32_t weight_bits;\n"
        "  const float *bias_multiplier;    /* where there are blocks: of the largest scale of an output */\n";
  }
  return fields;
}

}  // namespace detent::interchange::c
