#include "detent/cli/sensitivity.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>

#include "detent/cli/console.h"
#include "detent/io/tensor_file.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/report/sensitivity_table.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

// "8,4,2", falling.
std::vector<int> bits_of(const std::string& text) {
  std::vector<int> bits;
  for (const char* at = text.data(); at <= text.data() + text.size();) {
    int width = 0;
    const auto [end, error] = std::from_chars(at, text.data() + text.size(), width);
    const bool is_width = error == std::errc() && 1 <= width && width <= 8 &&
                          (end == text.data() + text.size() || *end == ',') && std::ranges::count(bits, width) == 0;
    check(is_width, "--bits: expected different widths from 1 to 8, got '", text, "'; write --bits 8,4,3,2");
    bits.push_back(width);
    at = end + 1;
  }
  std::ranges::sort(bits, std::greater<>());
  return bits;
}

evaluation::QuantizedPart part_of(const Arguments& arguments) {
  const std::string word = arguments.text("what").value_or("weights");
  std::vector<std::string> known;
  for (const auto& [name, part] : evaluation::quantized_part_names()) {
    if (name == word) {
      return part;
    }
    known.emplace_back(name);
  }
  fail("--what: expected weights, activations or both, got '", word, "'", hint(word, known), " write --what weights");
}

int sensitivity(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  evaluation::SensitivitySettings settings = sensitivity_settings(arguments);
  settings.what = part_of(arguments);
  ConsoleReporter reporter(is_json);
  evaluation::Sensitivity measured;
  in_pool(arguments, [&] {
    const evaluation::Trial trial = open_trial(arguments, reporter);
    measured = evaluation::measure_sensitivity(trial, settings, reporter);
  });
  if (const auto file = arguments.text("plot")) {
    write_text_file(*file, report::to_svg(report::chart_of(measured)));
  }
  print(is_json ? report::json_text(report::to_json(measured)) : report::to_text(measured));
  return 0;
}

}  // namespace

evaluation::Trial open_trial(const Arguments& arguments, evaluation::Reporter& reporter) {
  const std::string& file = arguments.positionals()[0];
  const quant::OpenedModel model = quant::open_model(file);
  check(model.kind == "fp32", "'", file, "': expected a float model, which the layers are quantized from, got one of ",
        "kind ", model.kind, "; name an fp32.h5");
  const train::RunData data = train::open_model_data(model, arguments.text("data"));
  reporter.message("data: " + data.description);
  train::check_fits(data.train, data.description, model.input_shape(), model.output_shape());
  const std::int64_t all = data.train.size();
  check(all >= 2, "expected at least 2 training examples, got ", all);
  evaluation::TrialSettings settings;
  settings.seed = static_cast<std::uint64_t>(arguments.whole("seed", 1, 0, std::int64_t{1} << 53));
  settings.calibration = arguments.whole("calibration", std::min(settings.calibration, all / 2), 1, all - 1);
  const std::int64_t left = all - settings.calibration;
  settings.images = arguments.whole("images", std::min(settings.images, left), 1, left);
  return {*model.graph(), data.train, data.normalization, settings};
}

evaluation::SensitivitySettings sensitivity_settings(const Arguments& arguments) {
  evaluation::SensitivitySettings settings;
  settings.bits = bits_of(arguments.text("bits").value_or("8,4,3,2"));
  settings.weights = quant::parse_weight_quantizer(arguments.text("weights").value_or("int8"));
  settings.activations = quant::parse_activation_quantizer(arguments.text("activations").value_or("uint8"));
  return settings;
}

std::vector<OptionSpec> sensitivity_options() {
  return {
      data_option(),
      {"bits", "LIST", "Bit widths to try, of 1 to 8 (default: 8,4,3,2)"},
      {"weights", "TEXT", "As [quantize] weights, but for the bits: \"int8 per-tensor\" (default: int8 per-channel)"},
      {"activations", "TEXT", "As [quantize] activations, but for the bits tried (default: uint8)"},
      {"calibration", "N", "Training examples from which ranges are taken (default: 512)"},
      {"images", "N", "Other training examples, on which the loss is measured (default: 1000)"},
      {"seed", "N", "Seed of the order of the training examples (default: 1)"},
      threads_option(),
      json_option()};
}

Command sensitivity_command() {
  std::vector<OptionSpec> options = sensitivity_options();
  options.insert(options.begin() + 1,
                 {{"what", "PART", "weights, activations (a layer's input and output) or both (default: weights)"},
                  {"plot", "FILE.svg", "Also write the table as a bar chart"}});
  return {.spec = {.name = "sensitivity",
                   .positionals = "FP32.h5",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "What each layer loses by few bits, by the loss on training examples",
                   .example = "detent sensitivity runs/mnist-cnn/fp32.h5\n"
                              "detent sensitivity fp32.h5 --bits 4,2 --what both --plot sensitivity.svg",
                   .options = std::move(options)},
          .run = sensitivity};
}

}  // namespace detent::cli
