#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "detent/interchange/c/export.h"
#include "detent/runtime/plan.h"
#include "detent/runtime/target_plan.h"
#include "tests/data/temp_folder.h"

/// Exported sources, compiled and run.
namespace detent::interchange::c::test {

/// What every source must compile with, without a word.
inline constexpr const char* kFlags = "-std=c99 -pedantic -Wall -Wextra -Werror -Wconversion -Wmissing-prototypes";

/// The status of a command of the shell, whose messages go to `messages`.
inline int shell(const std::string& command, const std::filesystem::path& messages) {
  return std::system(("( " + command + " ) > '" + messages.string() + "' 2>&1").c_str());
}

/// Whether a compiler with such flags makes programs that run here.
inline bool works(const std::string& compiler) {
  std::string folder = (std::filesystem::temp_directory_path() / "detent-compiler-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    return false;
  }
  write_text(folder + "/it.c",
             "#include <stdint.h>\n#include <stdio.h>\nint main(void) { return puts(\"ok\") < 0; }\n");
  const std::string command = "cd '" + folder + "' && " + compiler + " it.c -o it && ./it";
  const bool result = shell(command, folder + "/messages") == 0;
  std::filesystem::remove_all(folder);
  return result;
}

/// Writes NAME.h, NAME.c and NAME_test.c.
inline void write_sources(const Export& made, const std::filesystem::path& folder, const std::string& name) {
  write_text(folder / (name + ".h"), made.header);
  write_text(folder / (name + ".c"), made.source);
  write_text(folder / (name + "_test.c"), made.self_test);
}

/// A program that reads examples of f32 and writes the codes of inputs, what every layer gives, and the output.
inline std::string driver_of(const runtime::Model& model, const std::string& name, const std::string& upper) {
  std::string declarations, reads, arguments;
  for (std::size_t i = 0; i < model.inputs.size(); ++i) {
    const std::string elements = std::to_string(model.inputs[i].type.shape.elements());
    std::string input = "x";
    input += std::to_string(i);
    declarations += "static float " + input + "[" + elements + "];\n";
    reads += (i == 0 ? "" : " && ") + ("fread(" + input + ", sizeof(float), " + elements + ", stdin) == " + elements);
    arguments += input + ", ";
  }
  const std::string outputs = std::to_string(model.type(model.output).shape.elements());
  return "#include <stdio.h>\n#define " + upper +
         "_TAP(layer, codes, count) fwrite(codes, 1, count, stdout)\n#define " + upper +
         "_TAP_NUMBERS(layer, numbers, count) fwrite(numbers, sizeof(float), count, stdout)\n" + "#include \"" + name +
         ".c\"\n" + declarations + "static float y[" + outputs + "];\nint main(void) {\n" + "  while (" + reads +
         ") {\n    " + name + "_run(" + arguments + "y);\n    fwrite(y, sizeof(float), " + outputs +
         ", stdout);\n  }\n  return 0;\n}\n";
}

/// What the compiled model gives for each example, as the program of driver_of writes it; empty where it fails, which
/// is a failure of the test.
inline std::string output_of(const TempFolder& folder, const runtime::Model& model, const Export& made,
                             const std::string& compiler, const std::vector<Tensor>& examples) {
  write_sources(made, folder.path(), "net");
  write_text(folder / "driver.c", driver_of(model, "net", "NET"));
  {
    std::ofstream file(folder / "examples.bin", std::ios::binary);
    for (std::int64_t n = 0; n < examples[0].shape()[0]; ++n) {
      for (const Tensor& input : examples) {
        const Tensor row = input.rows(n, n + 1);
        file.write(reinterpret_cast<const char*>(row.raw()), static_cast<std::streamsize>(row.bytes()));
      }
    }
  }
  const std::string at = "cd '" + folder.path().string() + "' && ";
  const std::string compile = at + compiler + " net.c net_test.c -o self_test && " + compiler + " driver.c -o driver";
  if (shell(compile, folder / "messages") != 0) {
    ADD_FAILURE() << compile << "\n" << read_text(folder / "messages");
    return {};
  }
  EXPECT_EQ(shell(at + "./self_test", folder / "messages"), 0) << compiler << "\n" << read_text(folder / "messages");
  EXPECT_EQ(shell(at + "./driver < examples.bin > codes.bin", folder / "messages"), 0)
      << compiler << "\n"
      << read_text(folder / "messages");
  return read_text(folder / "codes.bin");
}

/// Empty, or how what C gives of a value differs from Detent's: no bit may where the two agree exactly; else numbers by
/// at most `tolerance` of the largest, and codes by 2.
inline std::string difference(const Tensor& row, const char* given, Agreement agreement) {
  if (std::memcmp(given, row.raw(), row.bytes()) == 0) {
    return {};
  }
  const float tolerance = agreement == Agreement::Exact ? 0.0F : agreement == Agreement::Sums ? 0x1p-17F : 0x1p-6F;
  const auto elements = static_cast<std::size_t>(row.elements());
  float largest = 0;
  for (std::size_t i = 0; row.dtype() == DType::F32 && i < elements; ++i) {
    largest = std::max(largest, std::abs(row.data<float>()[i]));
  }
  for (std::size_t i = 0; i < elements; ++i) {
    float actual = 0, expected = 0, most = 0;
    if (row.dtype() == DType::U8) {
      actual = static_cast<unsigned char>(given[i]);
      expected = row.data<std::uint8_t>()[i];
      most = agreement == Agreement::Rounded ? 2.0F : 0.0F;
    } else {
      std::memcpy(&actual, given + i * sizeof(float), sizeof(float));
      expected = row.data<float>()[i];
      most = tolerance * largest;
    }
    if (!(std::abs(actual - expected) <= most) && !(std::isnan(actual) && std::isnan(expected))) {
      return "element " + std::to_string(i) + " of " + std::to_string(elements) + ": expected " +
             std::to_string(expected) + ", got " + std::to_string(actual);
    }
  }
  return {};
}

/// Compares what the program gives, layer by layer, with the executor of that requantization. Returns how many codes
/// and numbers were compared.
inline std::int64_t expect_codes(const std::string& given, const runtime::Model& model, Requantize requantize,
                                 const std::vector<Tensor>& examples, const std::string& what) {
  const std::int64_t count = examples[0].shape()[0];
  std::vector<Tensor> values;
  runtime::Plan plan(model, count, {.keeps_values = true});
  if (requantize == Requantize::Fixed) {
    values = runtime::TargetPlan(model, count, kernels::RoundingTarget::Tflite).run(examples);
  } else {
    plan.run(examples);
    for (runtime::ValueId value = 0; value < model.values(); ++value) {
      values.push_back(plan.value(value));
    }
  }
  const Program program = make_program(model, requantize);
  std::vector<runtime::ValueId> shown;
  for (const Entry& entry : program.entries) {
    if (program.quantizes(entry)) {
      shown.push_back(entry.value);
    }
  }
  for (const std::size_t step : program.steps) {
    shown.push_back(model.value_of(step));
  }
  shown.push_back(model.output);
  std::size_t at = 0;
  std::int64_t compared = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    for (const runtime::ValueId value : shown) {
      const Tensor row = values[value].rows(n, n + 1);
      if (at + row.bytes() > given.size()) {
        ADD_FAILURE() << what << ": the program wrote " << given.size() << " bytes: too few at example " << n << ", "
                      << model.name(value);
        return compared;
      }
      const std::string differs = difference(row, given.data() + at, program.agreement);
      if (!differs.empty()) {
        ADD_FAILURE() << what << ": example " << n << ", " << model.name(value) << ": " << differs;
        return compared;
      }
      at += row.bytes();
      compared += row.elements();
    }
  }
  EXPECT_EQ(at, given.size()) << what;
  return compared;
}

}  // namespace detent::interchange::c::test
