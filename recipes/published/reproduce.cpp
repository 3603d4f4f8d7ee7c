#include "detent/recipes/published/reproduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "detent/io/tensor_file.h"
#include "detent/recipes/series/kept_run.h"
#include "detent/recipes/series/series_recipe.h"
#include "detent/report/json_text.h"
#include "detent/report/reproduction_table.h"
#include "detent/train/output_folder.h"
#include "detent/train/resume/run_record.h"
#include "detent/train/run_data.h"

namespace detent::recipes {
namespace {

namespace fs = std::filesystem;

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
    data_.test.require_classes("reproduce, which counts changed predictions");
    data_digest_ = train::sha256_of(data_);
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
    const KeptRun in_float = run_once(0, seed, folder / "float", nullptr);
    result_.rows[0].runs.push_back(in_float.run);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const KeptRun kept = run_once(i + 1, seed, folder / folder_of(rows_[i]->name), &in_float);
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

  /// The run of a recipe, compared with the float model's where there is one.
  KeptRun run_once(std::size_t number, std::uint64_t seed, const fs::path& folder, const KeptRun* in_float) {
    const bool is_float = in_float == nullptr;
    Recipe recipe = recipes_[number];
    if (!is_float && rows_[number - 1]->starts_from_float) {
      recipe = beginning_with(recipe, (folder.parent_path() / "float" / "fp32.h5").string());
    }
    KeptRun kept = run_or_keep(
        recipe,
        {.data = options_.data, .out = folder, .seed = seed, .threads = options_.threads, .record = options_.record},
        key_of(number, seed, is_float ? std::string() : in_float->key), data_, reporter_);
    if (!is_float) {
      kept.run.against_float =
          evaluation::paired_test(in_float->predictions, kept.predictions, data_.test.labels.data<std::int32_t>());
    }
    const std::string changed =
        is_float ? std::string() : fmt::format(", {} predictions changed", kept.run.against_float.changed);
    reporter_.message(fmt::format("seed {}, {}: {:.2f} %{}, {}", seed, result_.rows[number].name,
                                  100.0 * kept.run.accuracy(), changed,
                                  kept.was_there ? "as it was there" : fmt::format("{:.0f} s", kept.run.seconds)));
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
  return series_recipe(recipe_text(table.recipe), std::move(overrides),
                       row == nullptr ? SeriesPart::Float : SeriesPart::Codes,
                       table.name + "-" + folder_of(row == nullptr ? "float" : row->name));
}

evaluation::Reproduction reproduce(const PublishedTable& table, const ReproduceOptions& options,
                                   evaluation::Reporter& reporter) {
  check(options.seeds >= 1 && options.seeds <= kMostSeeds, "reproduce: expected 1 to ", kMostSeeds, " seeds, got ",
        options.seeds);
  return Reproducer(table, options, reporter).run();
}

}  // namespace detent::recipes
