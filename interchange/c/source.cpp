#include <algorithm>
#include <array>

#include "detent/core/text/shape_text.h"
#include "detent/interchange/c/kernel_texts.h"
#include "detent/interchange/c/layers/product_constants.h"
#include "detent/interchange/c/sources.h"
#include "detent/kernels/codes/targets/rounding_target.h"

namespace detent::interchange::c {
namespace {

/// The functions in the order in which they stand in the source; those that a model does not call are left out.
constexpr auto kKernels = std::to_array<const char*>({"alone",
                                                      "quantize_f32",
                                                      "dequantize",
                                                      "nearest_code",
                                                      "rounding_fixed",
                                                      "product_type",
                                                      "dot_8",
                                                      "dot_4",
                                                      "dot_2",
                                                      "dot_1",
                                                      "smaller",
                                                      "product_f32",
                                                      "product_fixed",
                                                      "product_groups",
                                                      "product_outputs",
                                                      "multiply",
                                                      "gather",
                                                      "convolve",
                                                      "depthwise",
                                                      "product_dynamic",
                                                      "round_numbers",
                                                      "gather_numbers",
                                                      "product_numbers",
                                                      "chunk_f32",
                                                      "chunk_8",
                                                      "chunk_bf16",
                                                      "chunk_few",
                                                      "add_f32",
                                                      "add_fixed",
                                                      "add_numbers",
                                                      "pool_type",
                                                      "max_pool",
                                                      "max_pool_numbers",
                                                      "average_sum",
                                                      "average_f32",
                                                      "average_fixed",
                                                      "average_pool_numbers",
                                                      "look_up",
                                                      "look_up_by_channel",
                                                      "join",
                                                      "join_numbers",
                                                      "softmax_row",
                                                      "softmax_f32",
                                                      "softmax_fixed",
                                                      "relu_numbers",
                                                      "relu6_numbers",
                                                      "leaky_relu_numbers",
                                                      "hard_swish_numbers",
                                                      "sign_numbers",
                                                      "normalize"});

bool quantizes_inputs(const Parts& parts) {
  return std::ranges::any_of(parts.program.entries, [&](const Entry& entry) { return parts.program.quantizes(entry); });
}

/// The kernels that the layers ask for, and those that these stand on.
std::set<std::string> kernels_of(const Parts& parts) {
  std::set<std::string> kernels = parts.layers.kernels;
  const bool rounds = kernels.erase("rounding") > 0;
  const bool quantizes = kernels.erase("quantize") > 0 || quantizes_inputs(parts);
  if (rounds) {
    kernels.insert(parts.is_fixed() ? "rounding_fixed" : "nearest_code");
  }
  if (!parts.is_fixed() && quantizes) {
    kernels.insert("quantize_f32");
  }
  if (kernels.contains("product_groups")) {
    kernels.erase("product_outputs");  // it does both
  }
  for (const char* const function : {"smaller", "alone"}) {
    const bool is_called = std::ranges::any_of(kernels, [&](const std::string& name) {
      return kernel_text(name).find(std::string(function) + "(") != std::string_view::npos;
    });
    if (is_called) {
      kernels.insert(function);
    }
  }
  return kernels;
}

std::string left(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}
std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

const std::string& address_of(const Parts& parts, std::size_t step) {
  return parts.program.address[parts.program.model->value_of(parts.program.steps[step])];
}

/// "arena + 128", in bytes.
std::string where_lies(const Parts& parts, std::size_t step) {
  const std::string text = replaced(address_of(parts, step), "->bytes", "");
  return replaced(text, "arena->numbers + ", "arena + 4 * ");
}

/// A line a layer, for readers.
std::string table_of_layers(const Parts& parts) {
  std::string text = " * " + left("layer", 26) + left("operation", 26) + left("output", 16) + right("products", 12) +
                     right("constants", 11) + "  it lies in\n";
  for (std::size_t i = 0; i < parts.layers.steps.size(); ++i) {
    const Layer& layer = parts.layers.steps[i];
    const runtime::Node& node = parts.program.model->nodes[parts.program.steps[i]];
    text += " * " + left(comment(node.name), 26) + left(layer.operation, 26) + left(text_of(node.output.shape), 16) +
            right(number(layer.products), 12) + right(number(layer.constant_bytes), 11) + "  " + where_lies(parts, i) +
            "\n";
  }
  return text;
}

/// What quantize and dequantize take of a map behind their first argument.
std::string map_of(const runtime::ValueType& type, bool with_range) {
  const ScaleZero map = type.qparams->tensor();
  const CodeRange codes = type.qparams->codes;
  return number(type.shape.elements()) + ", " + number(map.scale) + ", " + number(map.zero_point) +
         (with_range ? ", " + number(codes.qmin) + ", " + number(codes.qmax) : "");
}

std::string at(std::int64_t offset) { return offset == 0 ? "arena->bytes" : "arena->bytes + " + number(offset); }

/// Shows a value to who wants to see it.
std::string tap(const std::string& name, const std::string& address, const runtime::ValueType& type) {
  return std::string(type.is_codes() ? "  @MODEL_TAP(\"" : "  @MODEL_TAP_NUMBERS(\"") + identifier(name) + "\", " +
         address + ", " + number(type.shape.elements()) + ");\n";
}

/// The layers, one behind the other.
std::string run_layers(const Parts& parts) {
  std::string calls;
  for (std::size_t i = 0; i < parts.layers.steps.size(); ++i) {
    const runtime::Node& node = parts.program.model->nodes[parts.program.steps[i]];
    calls += parts.layers.steps[i].calls + tap(node.name, address_of(parts, i), node.output);
  }
  const bool uses_arena = calls.find("arena->") != std::string::npos;
  return parts.run_layers() + " {\n" + (uses_arena ? "" : "  (void)arena;\n") + calls + "}\n";
}

/// What `fill` makes of the inputs, through the layers, to the output.
std::string with_arena(const Parts& parts, const std::string& declaration, const std::string& fill) {
  std::string arguments;
  for (const Entry& entry : parts.program.entries) {
    arguments += (parts.program.quantizes(entry) ? at(entry.offset) : entry.name) + ", ";
  }
  const bool dequantizes = parts.program.dequantizes();
  const std::string result = dequantizes ? at(parts.program.result_offset) : "output";
  std::string text =
      declaration + " {\n" + fill + "  " + parts.layers_function() + "(arena, " + arguments + result + ");\n";
  if (dequantizes) {
    text += "  dequantize(" + result + ", " + map_of(parts.program.type(parts.program.result), false) + ", output);\n";
  }
  return text + "}\n";
}

/// The function of that declaration, by the one that takes an arena.
std::string with_static_arena(const Parts& parts, bool of_pixels) {
  std::string arguments;
  for (const std::string& input : parts.program.inputs) {
    arguments += (of_pixels ? "pixels" : input) + ", ";
  }
  return (of_pixels ? parts.run_pixels(false) : parts.run(false)) + " { " +
         (of_pixels ? "@model_run_pixels_in" : "@model_run_in") + "(&arena_of_source, " + arguments + "output); }\n";
}

std::string run_of_inputs(const Parts& parts) {
  std::string fill, fill_pixels;
  for (const Entry& entry : parts.program.entries) {
    const runtime::ValueType& type = parts.program.type(entry.value);
    const std::string elements = number(type.shape.elements());
    if (parts.program.quantizes(entry)) {
      const std::string shown = tap(parts.program.model->name(entry.value), at(entry.offset), type);
      fill += "  quantize(" + parts.program.inputs[entry.input] + ", " + map_of(type, true) + ", " + at(entry.offset) +
              ");\n" + shown;
      fill_pixels = "  codes_of_pixels(pixels, " + elements + ", " + at(entry.offset) + ");\n" + shown;
    }
  }
  std::string text;
  if (parts.is_fixed() && quantizes_inputs(parts)) {
    text += kernel("quantize_fixed") + "\n";
  }
  if (parts.program.dequantizes() && !parts.layers.kernels.contains("dequantize")) {
    text += kernel("dequantize") + "\n";
  }
  if (parts.takes_pixels()) {
    text += kernel("pixels") + "\n";
  }
  text += with_arena(parts, parts.run(true), fill);
  std::string of_static_arena = with_static_arena(parts, false);
  if (parts.takes_pixels()) {
    text += "\n" + with_arena(parts, parts.run_pixels(true), fill_pixels);
    of_static_arena += "\n" + with_static_arena(parts, true);
  }
  text += "\n#ifndef @MODEL_NO_STATIC_ARENA\nstatic @model_arena arena_of_source;\n\n" + of_static_arena + "#endif\n";
  return parts.is_fixed() && parts.has_numbers() ? "#ifndef @MODEL_NO_FLOAT\n" + text + "#endif\n" : text;
}

std::string pixel_table(const Parts& parts) {
  const runtime::ValueType& type = parts.program.type(parts.program.entries[0].value);
  const auto target = parts.is_fixed() ? kernels::RoundingTarget::Tflite : kernels::RoundingTarget::Detent;
  std::array<std::uint8_t, 256> codes{};
  for (std::size_t p = 0; p < codes.size(); ++p) {
    codes[p] = static_cast<std::uint8_t>(
        kernels::quantize(target, (*parts.options.pixels)[p], type.qparams->tensor(), type.qparams->codes));
  }
  return "const uint8_t @model_code_of_pixel[256] = " + braces(codes, "    ") + ";\n\n";
}

std::string kernels_text(const Parts& parts) {
  const std::set<std::string> kernels = kernels_of(parts);
  std::string text;
  for (const char* const name : kKernels) {
    if (kernels.contains(name)) {
      text += kernel(name) + "\n";
    }
  }
  const bool has_numbers = kernels.contains("product_numbers") || kernels.contains("product_dynamic");
  return replaced(text, "@MODEL_PRODUCT_FIELDS",
                  product_fields(parts.options.requantize, kernels.contains("product_groups"), has_numbers));
}

}  // namespace

std::string write_source(const Parts& parts) {
  std::int64_t constants = 0, products = 0;
  for (const Layer& layer : parts.layers.steps) {
    constants += layer.constant_bytes;
    products += layer.products;
  }
  std::string text = "/* " + parts.options.name + ": " + comment(parts.options.title) + "\n *\n" +
                     table_of_layers(parts) + " *\n * In all " + number(products) + " products of codes and weights, " +
                     number(constants) + " bytes of constants, and an arena of " + number(parts.program.arena_bytes) +
                     " bytes. */\n#include \"" + parts.options.name + ".h\"\n\n";
  if (!parts.is_fixed()) {
    text += "#include <float.h>\n\n";
  }
  if (parts.layers.kernels.contains("dot_8")) {
    text += kernel("dual_mac") + "\n";
  }
  text += kernel("tap") + "\n" + kernels_text(parts);
  text +=
      "/* ---- The layers "
      "------------------------------------------------------------------------------------------------- "
      "*/\n\n";
  for (const Layer& layer : parts.layers.steps) {
    text += layer.definitions + (layer.definitions.empty() ? "" : "\n");
  }
  text += run_layers(parts) + "\n";
  if (parts.takes_pixels()) {
    text += pixel_table(parts);
  }
  return parts.with_prefix(text + run_of_inputs(parts));
}

}  // namespace detent::interchange::c
