#include <algorithm>
#include <cmath>

#include "detent/interchange/c/sources.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::interchange::c {
namespace {

std::string rows_of(const std::string& name, const Tensor& rows) {
  const std::int64_t count = rows.shape()[0];
  const auto elements = static_cast<std::size_t>(rows.shape()[1]);
  const bool is_codes = rows.dtype() == DType::U8;
  std::string text = std::string("static const ") + (is_codes ? "uint8_t " : "float ") + name + "[" + number(count) +
                     "][" + number(rows.shape()[1]) + "] = {";
  for (std::int64_t n = 0; n < count; ++n) {
    const std::size_t first = static_cast<std::size_t>(n) * elements;
    const std::string row = is_codes ? braces(rows.data<std::uint8_t>().subspan(first, elements), "        ")
                                     : braces(rows.data<float>().subspan(first, elements), "        ");
    text += (n == 0 ? "\n    " : ",\n    ") + row;
  }
  return text + "};\n\n";
}

/// How far results may be from Detent's: not at all; sums of f32 by what their order can do; where these become codes
/// by what a few steps can do.
float tolerance_of(const Parts& parts, const Tensor& expected) {
  constexpr float kOfSums = 0x1p-13F, kOfSteps = 0x1p-5F;
  const Agreement agreement = parts.program.agreement;
  float largest = 255.0F;
  if (expected.dtype() == DType::F32) {
    const MinMax range = kernels::min_max(expected.data<float>());
    largest = std::max(std::abs(range.min), std::abs(range.max));
  }
  return agreement == Agreement::Exact ? 0.0F : agreement == Agreement::Sums ? largest * kOfSums : largest * kOfSteps;
}

}  // namespace

std::string write_self_test(const Parts& parts, const Golden& golden) {
  std::string text =
      "/* " + parts.options.name +
      ": examples, as the layers take them, and what Detent computes of them. Compile it with the model's "
      "source\n * and run it: exit status 0 says that no result differs. -D@MODEL_NO_MAIN leaves out main. */\n"
      "#include \"" +
      parts.options.name + ".h\"\n\n#define @MODEL_EXAMPLES " + number(golden.examples) + "\n\n";
  std::string arguments;
  for (std::size_t i = 0; i < golden.entries.size(); ++i) {
    const std::string name = "example_" + parts.program.entries[i].name;
    text += rows_of(name, golden.entries[i]);
    arguments += name + "[n], ";
  }
  text += rows_of("expected", golden.result);
  const bool is_codes = parts.program.is_from_codes_to_codes();
  if (!is_codes) {
    text += "#ifndef @MODEL_TOLERANCE\n#define @MODEL_TOLERANCE " + number(tolerance_of(parts, golden.result)) +
            "\n#endif\n";
  }
  text += std::string("static @model_arena arena;\nstatic ") +
          (parts.program.type(parts.program.result).is_codes() ? "uint8_t" : "float") +
          " result[@MODEL_OUTPUT_ELEMENTS];\n\n";
  text += replaced(kernel(is_codes ? "self_test" : "self_test_numbers"), "@MODEL_EXAMPLE(n), ", arguments);
  return parts.with_prefix(replaced(text, "@MODEL_NAME", parts.options.name));
}

}  // namespace detent::interchange::c
