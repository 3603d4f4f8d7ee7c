#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/utf8.h"
#include "detent/quant/methods/hybrid.h"
#include "detent/recipes/run.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"
#include "detent/runtime/model_file.h"
#include "detent/train/output_folder.h"

namespace detent::cli {
namespace {

// What the options say, as overrides of a recipe that says nothing but the model.
std::vector<std::string> overrides_of(const Arguments& arguments) {
  std::vector<std::string> overrides{"model.file=" + recipes::quoted(arguments.positionals()[0]),
                                     "quantize.method=" + recipes::quoted(arguments.text("method").value_or("static"))};
  for (const char* const key : {"weights", "activations"}) {
    if (const auto value = arguments.text(key)) {
      overrides.push_back(std::string("quantize.") + key + "=" + recipes::quoted(*value));
    }
  }
  if (const auto improve = arguments.text("improve")) {
    std::string list;
    for (std::size_t begin = 0; begin <= improve->size();) {
      const std::size_t comma = std::min(improve->find(',', begin), improve->size());
      list += (list.empty() ? "" : ", ") + recipes::quoted(improve->substr(begin, comma - begin));
      begin = comma + 1;
    }
    overrides.push_back("quantize.improve=[" + list + "]");
  }
  const std::vector<std::string> others = arguments.texts("set");
  overrides.insert(overrides.end(), others.begin(), others.end());
  return overrides;
}

// The recipe that trained the model, else what the file is called.
std::string name_of(const recipes::Recipe& recipe) {
  const nn::Model trained = recipes::trained_model_of(recipe, quant::standard_kinds());
  const auto trainer = trained.attributes.find("recipe");
  const auto* const name = trainer == trained.attributes.end() ? nullptr : std::get_if<std::string>(&trainer->second);
  const bool is_name = name != nullptr && !name->empty() && name->find('/') == std::string::npos;
  return valid_utf8(is_name ? *name : std::filesystem::path(recipe.model.file).stem().string());
}

// What needs no examples, where there are none to evaluate it on.
int quantize_without_data(const recipes::Recipe& recipe, const Arguments& arguments) {
  namespace fs = std::filesystem;
  const fs::path out = arguments.text("out").value_or("runs/" + recipe.name);
  const fs::path file = out / "int8.h5";
  std::vector<quant::LedgerRow> ledger;
  in_pool(arguments, [&] {
    nn::Model trained = recipes::trained_model_of(recipe, quant::standard_kinds());
    quant::Converted converted =
        quant::quantize_hybrid(trained.graph, recipe.qconfig_mapping(), recipe.quantize.method);
    const train::OutputFolder folder(out, {"int8.h5"});
    check(!fs::exists(out / train::kMetricsFile), out.string(),
          ": holds a finished run, among whose files this model would lie; name another folder with --out");
    runtime::save_model({.model = std::move(converted.model), .attributes = std::move(trained.attributes)}, file);
    ledger = std::move(converted.ledger);
  });
  if (arguments.has("json")) {
    print(report::json_text(
        {{"model", file.string()}, {"model_bytes", fs::file_size(file)}, {"ledger", report::to_json(ledger)}}));
    return 0;
  }
  const auto bytes_of = [](const fs::path& path) { return static_cast<std::int64_t>(fs::file_size(path)); };
  print(quant::to_text(ledger) +
        fmt::format("wrote {}, {} bytes; {} has {}\nnot evaluated: say --data to see what it costs\n", file.string(),
                    report::with_separators(bytes_of(file)), recipe.model.file,
                    report::with_separators(bytes_of(recipe.model.file))));
  return 0;
}

int quantize(const Arguments& arguments) {
  recipes::Recipe recipe = recipes::parse_recipe("", "quantize", overrides_of(arguments));
  const quant::Method method = recipe.quantize.method;
  check(method != quant::Method::None,
        "quantize: --method none makes no int8 model; write --method static, qat, dynamic, weight-only or "
        "bf16");
  recipe.name = name_of(recipe) + "-" + std::string(quant::name_of(method));
  const bool needs_data =
      !quant::is_hybrid(method) || recipe.train.epochs > 0 || !recipe.quantize.compare_static.empty();
  return needs_data || recipe.data.name || arguments.has("data") ? run_recipe(recipe, arguments)
                                                                 : quantize_without_data(recipe, arguments);
}

}  // namespace

Command quantize_command() {
  std::vector<OptionSpec> options = run_options();
  options.insert(
      options.begin(),
      {{"method", "static|qat|dynamic|weight-only|bf16",
        "static: from ranges on a few examples (default); qat: by training on codes; dynamic, weight-only and bf16: "
        "without examples, --data is only to evaluate"},
       {"weights", "TEXT", "As [quantize] weights: \"int4 per-group 32\" (default: int8 per-channel)"},
       {"activations", "TEXT",
        "As [quantize] activations: \"uint8 percentile 99.9\" (default: uint8), with weight-only fp32 or bf16"},
       {"improve", "LIST", "Static: equalize, adaround, bias-correction, or some of them: equalize,bias-correction"}});
  return {.spec = {.name = "quantize",
                   .positionals = "FP32.h5 | MODEL.onnx",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Quantize a float model that was trained before",
                   .example =
                       "detent quantize runs/mnist-cnn/fp32.h5\n"
                       "detent quantize model.onnx --data mnist/ --set 'data.normalize={mean = 0.1307, std = 0.3081}'\n"
                       "detent quantize fp32.h5 --method qat --weights int4 --set qat.epochs=2\n"
                       "detent quantize fp32.h5 --method weight-only --weights \"int4 per-group 32\"\n"
                       "detent quantize fp32.h5 --set 'quantize.layers={conv1 = \"int8\", \"fc*\" = \"int4\"}'",
                   .options = std::move(options)},
          .run = quantize};
}

}  // namespace detent::cli
