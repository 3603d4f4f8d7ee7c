#include "detent/recipes/published/reproduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "detent/evaluation/evaluate.h"
#include "detent/io/sha256.h"
#include "detent/io/tensor_file.h"
#include "detent/quant/passes/open_model.h"
#include "detent/recipes/run.h"
#include "detent/report/json_text.h"
#include "detent/report/reproduction_table.h"
#include "detent/train/output_folder.h"
#include "detent/train/run_data.h"

namespace detent::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char* kResult = "reproduced.json";

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

/// What is kept of a run: its figures, its predictions, and what it depends on.
struct Kept {
  std::string key;
  evaluation::ReproducedRun run;
  std::vector<std::int32_t> predictions;
};

std::string digest_of(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string digest_of(const train::RunData& data) {
  Sha256 sha;
  for (const data::Dataset* part : {&data.train, &data.test}) {
    for (const Tensor* tensor : {&part->examples, &part->labels}) {
      sha.update(std::span(tensor->raw(), tensor->bytes()));
    }
  }
  return sha.hex();
}

nlohmann::json to_json(const Kept& kept) {
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
std::optional<Kept> read_kept(const fs::path& folder, const std::string& model, const std::string& key) {
  std::ifstream in(folder / kResult, std::ios::binary);
  if (!in.is_open() || !fs::exists(folder / model)) {
    return std::nullopt;
  }
  try {
    const nlohmann::json json = nlohmann::json::parse(in);
    Kept kept;
    kept.key = json.at("key").get<std::string>();
    kept.predictions = json.at("predictions").get<std::vector<std::int32_t>>();
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
  }
}

class Reproducer {
 public:
  Reproducer(const PublishedTable& table, const ReproduceOptions& options, evaluation::Reporter& reporter)
      : table_(table), options_(options), reporter_(reporter) {
    if (options.only.empty()) {
      std::ranges::transform(table.rows, std::back_inserter(rows_), [](const PublishedRow& row) { return &row; });
    }
    for (const std::string& name : options.only) {
      if (const PublishedRow* const row = &table.row(name); std::ranges::count(rows_, row) == 0) {
        rows_.push_back(row);
      }
    }
    result_ = {.name = table.name, .description = table.description, .note = table.note, .epochs = options.epochs};
    recipes_.push_back(recipe_of(table, nullptr, options.epochs));
    for (const PublishedRow* const row : rows_) {
      recipes_.push_back(recipe_of(table, row, options.epochs));
    }
  }

  evaluation::Reproduction run() {
    data_ = train::open_run_data(recipes_[0].data, options_.data);
    reporter_.message("data: " + data_.description);
    data_digest_ = digest_of(data_);
    result_.dataset_description = data_.description;
    result_.published_dataset = data_.name == table_.dataset ? "" : table_.dataset;
    const train::OutputFolder folder(options_.out, {table_.name + ".md", table_.name + ".json"});
    add_row(nullptr);
    for (const PublishedRow* const row : rows_) {
      add_row(row);
    }
    for (std::int64_t seed = 1; seed <= options_.seeds; ++seed) {
      run_seed(static_cast<std::uint64_t>(seed));
    }
    write_text_file(options_.out / (table_.name + ".json"), report::json_text(report::to_json(result_), 2));
    write_text_file(options_.out / (table_.name + ".md"), report::to_markdown(result_));
    return std::move(result_);
  }

 private:
  void add_row(const PublishedRow* row) {
    const PublishedFigure& figure = row == nullptr ? table_.float_figure : row->figure;
    const Recipe& recipe = recipes_[result_.rows.size()];
    const bool checks = !options_.epochs && result_.published_dataset.empty();
    result_.rows.push_back({.name = row == nullptr ? "float" : row->name,
                            .how = row == nullptr ? "f32"
                                                  : quant::to_text(recipe.quantize.weights) + ", " +
                                                        quant::to_text(recipe.quantize.activations),
                            .published = figure.published,
                            .source = figure.source,
                            .at_least = checks ? figure.at_least : std::nullopt,
                            .is_float = row == nullptr});
  }

  void run_seed(std::uint64_t seed) {
    const fs::path folder = options_.out / ("seed-" + std::to_string(seed));
    const Kept in_float = run_once(0, seed, folder / "float", nullptr);
    result_.rows[0].runs.push_back(in_float.run);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      std::string name = rows_[i]->name;
      std::ranges::replace(name, '/', '-');
      const Kept kept = run_once(i + 1, seed, folder / name, &in_float);
      result_.rows[i + 1].runs.push_back(kept.run);
    }
  }

  /// All that the run depends on.
  std::string key_of(std::size_t number, std::uint64_t seed, const std::string& of_float) const {
    std::string text = "seed " + std::to_string(seed) + "\ndata " + data_digest_ + "\nfloat " + of_float + "\n" +
                       recipe_text(table_.recipe).text;
    std::vector<std::string> set = table_.set;
    if (number > 0) {
      const PublishedRow& row = *rows_[number - 1];
      set.insert(set.end(), row.set.begin(), row.set.end());
      text += row.starts_from_float ? "\nfrom float" : "\nfrom scratch";
    }
    for (const std::string& one : set) {
      text += "\n" + one;
    }
    return digest_of(text + (options_.epochs ? "\nepochs " + std::to_string(*options_.epochs) : ""));
  }

  /// The run of a recipe, or what was kept of it, compared with the float model's where there is one.
  Kept run_once(std::size_t number, std::uint64_t seed, const fs::path& folder, const Kept* in_float) {
    const bool is_float = in_float == nullptr;
    const std::string model = is_float ? "fp32.h5" : "int8.h5";
    const std::string key = key_of(number, seed, is_float ? std::string() : in_float->key);
    std::optional<Kept> kept = read_kept(folder, model, key);
    const bool was_there = kept.has_value();
    if (!was_there) {
      kept = train(number, seed, folder, model);
      kept->key = key;
      write_text_file(folder / kResult, report::json_text(to_json(*kept)));
    }
    kept->run.seed = seed;
    if (!is_float) {
      kept->run.against_float =
          evaluation::paired_test(in_float->predictions, kept->predictions, data_.test.labels.data<std::int32_t>());
    }
    const std::string changed =
        is_float ? std::string() : fmt::format(", {} predictions changed", kept->run.against_float.changed);
    reporter_.message(fmt::format("seed {}, {}: {:.2f} %{}, {}", seed, result_.rows[number].name,
                                  100.0 * kept->run.accuracy(), changed,
                                  was_there ? "as it was there" : fmt::format("{:.0f} s", kept->run.seconds)));
    return std::move(*kept);
  }

  Kept train(std::size_t number, std::uint64_t seed, const fs::path& folder, const std::string& model) {
    Recipe recipe = recipes_[number];
    if (number > 0 && rows_[number - 1]->starts_from_float) {
      recipe.model = {.file = (folder.parent_path() / "float" / "fp32.h5").string(), .layers = {}};
    }
    std::error_code ignored;
    fs::remove(folder / kResult, ignored);
    Quiet quiet(reporter_);
    const evaluation::Metrics metrics =
        recipes::run(recipe, {.data = options_.data, .out = folder, .seed = seed, .threads = options_.threads}, quiet);
    quant::OpenedModel opened = quant::open_model(folder / model);
    const data::Normalization normalization = recipe.data.normalize.value_or(data_.normalization);
    const evaluation::Evaluation result = opened.model() != nullptr
                                              ? evaluation::evaluate(*opened.model(), data_.test, normalization, quiet)
                                              : evaluation::evaluate(*opened.graph(), data_.test, normalization, quiet);
    Kept kept;
    kept.run.correct = result.correct;
    kept.run.images = data_.test.size();
    kept.run.model_bytes = metrics.int8 ? metrics.int8->model_bytes : metrics.fp32.model_bytes;
    kept.run.codes_compared = metrics.int8 ? metrics.int8->verify.codes_compared : 0;
    kept.run.codes_mismatched = metrics.int8 ? metrics.int8->verify.codes_mismatched : 0;
    kept.run.seconds = metrics.total_seconds;
    kept.run.failures = metrics.failures;
    kept.predictions = result.predictions;
    return kept;
  }

  const PublishedTable& table_;
  const ReproduceOptions& options_;
  evaluation::Reporter& reporter_;
  std::vector<const PublishedRow*> rows_;
  std::vector<Recipe> recipes_;  // of the float model, then by row
  train::RunData data_;
  std::string data_digest_;
  evaluation::Reproduction result_;
};

}  // namespace

Recipe recipe_of(const PublishedTable& table, const PublishedRow* row, std::optional<std::int64_t> epochs) {
  std::vector<std::string> overrides = table.set;
  if (row != nullptr) {
    overrides.insert(overrides.end(), row->set.begin(), row->set.end());
  }
  if (epochs) {
    overrides.push_back("train.epochs=" + std::to_string(*epochs));
    overrides.push_back("qat.epochs=" + std::to_string(*epochs));
  }
  Recipe recipe = load_recipe(table.recipe, overrides);
  recipe.source.reset();  // what follows stands in no text
  recipe.name = table.name + "-" + (row == nullptr ? "float" : row->name);
  std::ranges::replace(recipe.name, '/', '-');
  recipe.check = {.max_drop = 1.0};  // what is lost is what the table tells
  recipe.checks_by_dataset.clear();
  if (row == nullptr) {
    recipe.quantize.method = quant::Method::None;
  } else {
    recipe.train.epochs = 0;
  }
  return recipe;
}

evaluation::Reproduction reproduce(const PublishedTable& table, const ReproduceOptions& options,
                                   evaluation::Reporter& reporter) {
  check(options.seeds >= 1 && options.seeds <= kMostSeeds, "reproduce: expected 1 to ", kMostSeeds, " seeds, got ",
        options.seeds);
  return Reproducer(table, options, reporter).run();
}

}  // namespace detent::recipes
