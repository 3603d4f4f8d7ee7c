#include "detent/recipes/series/kept_run.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "detent/evaluation/evaluate.h"
#include "detent/io/description.h"
#include "detent/io/sha256.h"
#include "detent/io/tensor_file.h"
#include "detent/quant/passes/open_model.h"
#include "detent/recipes/run.h"
#include "detent/report/json_text.h"

namespace detent::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char* kResult = "result.json";

/// Passes on how far training is, and of its messages the warnings.
class Quiet : public evaluation::Reporter {
 public:
  explicit Quiet(evaluation::Reporter& reporter) : reporter_(reporter) {}
  void message(const std::string& text) override {
    if (text.starts_with("warning: ") || text.starts_with("NO CHECKPOINTS")) {
      reporter_.message("  " + text);
    }
  }
  void progress(const evaluation::Progress& progress) override { reporter_.progress(progress); }
  bool should_stop() override { return reporter_.should_stop(); }

 private:
  evaluation::Reporter& reporter_;
};

nlohmann::json to_json(const KeptRun& kept) {
  return {{"key", kept.key},
          {"correct", kept.run.correct},
          {"images", kept.run.images},
          {"codes_compared", kept.run.codes_compared},
          {"codes_mismatched", kept.run.codes_mismatched},
          {"model_bytes", kept.run.model_bytes},
          {"seconds", kept.run.seconds},
          {"failures", kept.run.failures},
          {"predictions", kept.predictions}};
}

/// What was kept in `folder`, if it is of this key and whole.
std::optional<KeptRun> read_kept(const fs::path& folder, const std::string& model, const std::string& key) {
  std::ifstream in(folder / kResult, std::ios::binary);
  if (!in.is_open() || !fs::exists(folder / model)) {
    return std::nullopt;
  }
  try {
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const nlohmann::json json = parse_description("a kept run", text);
    KeptRun kept{.key = json.at("key").get<std::string>(),
                 .predictions = json.at("predictions").get<std::vector<std::int32_t>>(),
                 .was_there = true};
    kept.run.correct = json.at("correct");
    kept.run.images = json.at("images");
    kept.run.codes_compared = json.at("codes_compared");
    kept.run.codes_mismatched = json.at("codes_mismatched");
    kept.run.model_bytes = json.at("model_bytes");
    kept.run.seconds = json.at("seconds");
    kept.run.failures = json.at("failures").get<std::vector<std::string>>();
    return kept.key == key ? std::optional(std::move(kept)) : std::nullopt;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

KeptRun run_anew(const Recipe& recipe, const train::RunOptions& options, const train::RunData& data,
                 evaluation::Reporter& reporter) {
  Quiet quiet(reporter);
  const evaluation::Metrics metrics = recipes::run(recipe, options, quiet);
  quant::OpenedModel opened = quant::open_model(options.out / model_file_of(recipe));
  const data::Normalization normalization = recipe.data.normalize.value_or(data.normalization);
  const evaluation::Evaluation result = opened.model() != nullptr
                                            ? evaluation::evaluate(*opened.model(), data.test, normalization, quiet)
                                            : evaluation::evaluate(*opened.graph(), data.test, normalization, quiet);
  KeptRun kept;
  kept.run.correct = result.score.correct;
  kept.run.images = data.test.size();
  kept.run.model_bytes = metrics.int8 ? metrics.int8->model_bytes : metrics.fp32.model_bytes;
  kept.run.codes_compared = metrics.int8 ? metrics.int8->verify.codes_compared : 0;
  kept.run.codes_mismatched = metrics.int8 ? metrics.int8->verify.codes_mismatched : 0;
  kept.run.seconds = metrics.total_seconds;
  kept.run.failures = metrics.failures;
  kept.predictions = result.predictions;
  return kept;
}

}  // namespace

std::string digest_of(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string folder_of(std::string name) {
  std::ranges::replace_if(
      name, [](char letter) { return letter == '/' || letter == ' '; }, '-');
  return name;
}

std::string model_file_of(const Recipe& recipe) {
  return recipe.quantize.method == quant::Method::None ? "fp32.h5" : "int8.h5";
}

KeptRun run_or_keep(const Recipe& recipe, const train::RunOptions& options, const std::string& key,
                    const train::RunData& data, evaluation::Reporter& reporter) {
  std::optional<KeptRun> kept = read_kept(options.out, model_file_of(recipe), key);
  if (!kept) {
    std::error_code ignored;
    fs::remove(options.out / kResult, ignored);
    kept = run_anew(recipe, options, data, reporter);
    kept->key = key;
    write_text_file(options.out / kResult, report::json_text(to_json(*kept)));
  }
  kept->run.seed = options.seed;
  return std::move(*kept);
}

}  // namespace detent::recipes
