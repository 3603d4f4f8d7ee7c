// Operations that take or give numbers, f32.
#include <cmath>
#include <vector>

#include "detent/core/error.h"
#include "detent/interchange/c/layers/layer_writer.h"
#include "detent/interchange/c/layers/product_constants.h"
#include "detent/interchange/c/support.h"

namespace detent::interchange::c {

void LayerWriter::operator()(const runtime::Quantize&) {
  layer_.operation = "to codes";
  use("quantize");
  const ScaleZero to = out().qparams->tensor();
  const CodeRange codes = out().qparams->codes;
  call("quantize(" + in() + ", " + elements() + ", " + number(to.scale) + ", " + number(to.zero_point) + ", " +
       number(codes.qmin) + ", " + number(codes.qmax) + ", " + y() + ")");
}

void LayerWriter::operator()(const runtime::Dequantize&) {
  layer_.operation = "to numbers";
  use("dequantize");
  call("dequantize(" + in() + ", " + elements() + ", " + number(map(0).scale) + ", " + number(map(0).zero_point) +
       ", " + y() + ")");
}

void LayerWriter::product_of_numbers(const ProductConstants& constants, const kernels::ConvShape& shape) {
  take_constants(constants);
  const std::string chunk = constants.weight_bits == 32   ? "chunk_f32"
                            : constants.weight_bits == 16 ? "chunk_bf16"
                            : constants.weight_bits == 8  ? "chunk_8"
                                                          : "chunk_few";
  for (const char* const kernel : {"product_type", "smaller", "gather_numbers", "product_numbers"}) {
    use(kernel);
  }
  use(chunk);
  std::string x = in(), patch = scratch();
  if (takes_bf16(node_->op)) {
    const std::string count = number(type(0).shape.elements());
    use("round_numbers");
    call("round_numbers(" + x + ", " + count + ", " + scratch() + ")");
    x = scratch();
    patch += " + " + count;
  }
  call("convolve_numbers(&" + layer_.name + ", " + chunk + ", " + x + ", " + (node_->inputs.size() > 1 ? in(1) : "0") +
       ", " + (is_by_pixel(shape) ? "0" : patch) + ", " + y() + ")");
}

void LayerWriter::operator()(const runtime::HybridProduct& product) {
  const kernels::ConvShape& s = product.shape;
  const ProductConstants constants = product_constants(product, layer_.name, names_);
  if (!product.dynamic) {
    describe(s, false, product.input == DType::BF16 ? ", weight-only, bf16" : ", weight-only");
    product_of_numbers(constants, s);
    return;
  }
  describe(s, false, ", dynamic");
  take_constants(constants);
  const std::string dot = "dot_" + number(constants.weight_bits);
  for (const char* const kernel : {"product_type", "rounding", "quantize", "smaller", "gather", "product_dynamic"}) {
    use(kernel);
  }
  use(dot);
  const std::string patch = is_by_pixel(s) ? "0" : scratch() + " + " + number(type(0).shape.elements());
  call("convolve_dynamic(&" + layer_.name + ", " + dot + ", " + in() + ", " + scratch() + ", " + patch + ", " + y() +
       ")");
}

void LayerWriter::operator()(const runtime::Activation& activation) {
  layer_.operation = kernels::name_of(activation.function);
  const std::string function = layer_.operation + "_numbers";
  use(function);
  const bool has_slope = activation.function == kernels::Activation::LeakyRelu;
  call(function + "(" + in() + ", " + elements() +
       (has_slope ? ", " + number(static_cast<float>(activation.slope)) : "") + ", " + y() + ")");
}

void LayerWriter::operator()(const runtime::BatchNorm& norm) {
  layer_.operation = "batch norm";
  use("normalize");
  const auto count = static_cast<std::size_t>(norm.mean.elements());
  std::vector<float> factor(count), shift(count, 0.0F);
  for (std::size_t c = 0; c < count; ++c) {
    factor[c] = static_cast<float>(1.0 / std::sqrt(double{norm.variance.data<float>()[c]} + norm.epsilon));
    factor[c] *= norm.weight.defined() ? norm.weight.data<float>()[c] : 1.0F;
    shift[c] = norm.bias.defined() ? norm.bias.data<float>()[c] : 0.0F;
  }
  const std::string mean = define(std::span<const float>(norm.mean.data<float>()), "mean");
  const std::string by = define(std::span<const float>(factor), "factor");
  const std::string and_shift = define(std::span<const float>(shift), "shift");
  call("normalize(" + mean + ", " + by + ", " + and_shift + ", " + in() + ", " +
       number(out().shape.elements() / channels()) + ", " + number(channels()) + ", " + y() + ")");
}

void LayerWriter::operator()(const runtime::Reshape&) { fail("export: c: '", node_->name, "': a reshape is no step"); }

void LayerWriter::operator()(const runtime::Custom&) {
  fail("export: c: '", node_->name, "': a custom operation is no step");
}

}  // namespace detent::interchange::c
