#include "detent/recipes/ladder/ladder.h"

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/core/processor/units.h"
#include "detent/io/sha256.h"
#include "detent/io/tensor_file.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"
#include "detent/recipes/bench/bench_work.h"
#include "detent/recipes/bench/turns.h"
#include "detent/recipes/model_builder.h"
#include "detent/recipes/overrides.h"
#include "detent/recipes/section_reader.h"
#include "detent/recipes/series/kept_run.h"
#include "detent/recipes/series/series_recipe.h"
#include "detent/recipes/toml_text.h"
#include "detent/report/json_text.h"
#include "detent/report/ladder_table.h"
#include "detent/runtime/summary.h"
#include "detent/train/output_folder.h"
#include "detent/train/resume/run_record.h"

namespace detent::recipes {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBatches[] = {1, 128};

std::string how_of(const Recipe& recipe) {
  const train::QuantizeSettings& quantize = recipe.quantize;
  const std::string method(quant::name_of(quantize.method));
  switch (quantize.method) {
    case quant::Method::None:
      return "float";
    case quant::Method::Bf16:
      return method;
    case quant::Method::WeightOnly:
      return method + ": " + quant::to_text(quantize.weights) +
             (quantize.numbers == DType::F32 ? "" : ", " + std::string(name_of(quantize.numbers)));
    default:
      return method + ": " + quant::to_text(quantize.weights) + ", " + quant::to_text(quantize.activations);
  }
}

/// What a model is when it runs: a float model is lowered as `detent bench` does.
runtime::Model executed(const fs::path& path) {
  const quant::OpenedModel opened = quant::open_model(path);
  return opened.model() != nullptr ? *opened.model() : quant::lower(*opened.graph());
}

class Climber {
 public:
  Climber(const RecipeText& text, const LadderOptions& options, evaluation::Reporter& reporter)
      : text_(text), options_(options), reporter_(reporter) {
    const Recipe base = parse_recipe(text.text, text.file, options.overrides);
    check(!base.rungs.empty(), text.file, ": has no rungs; write [[rungs]] with name and set");
    ladder_ = {.name = base.name, .description = base.description, .threads = options.threads};
    if (const std::string prefix = ladder_.name + ": "; ladder_.description.starts_with(prefix)) {
      ladder_.description.erase(0, prefix.size());
    }
    ladder_.processor = class_of(processor_units());
    add(nullptr);
    for (const RungSpec& rung : base.rungs) {
      add(&rung);
    }
  }

  evaluation::Ladder run() {
    train::Attributes trained;
    const Recipe& recipe = steps_[0].recipe;
    const ModelSection& model = recipe.model;
    if (!model.file.empty()) {
      trained = trained_model_of(recipe, quant::standard_kinds()).attributes;
    }
    data_ = train::open_run_data(steps_[0].recipe.data, options_.data, data::standard_readers(), trained, model.file);
    reporter_.message("data: " + data_.description);
    data_.test.require_classes("a ladder, which counts changed predictions");
    data_digest_ = train::sha256_of(data_);
    ladder_.dataset_description = data_.description;
    const train::OutputFolder folder(options_.out, {ladder_.name + ".md", ladder_.name + ".json"});
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      run_step(i);
    }
    measure();
    write_text_file(options_.out / (ladder_.name + ".json"), report::json_text(report::to_json(ladder_), 2));
    write_text_file(options_.out / (ladder_.name + ".md"), report::to_markdown(ladder_));
    return std::move(ladder_);
  }

 private:
  struct Step {
    Recipe recipe;
    fs::path folder;
    std::string key = {};  ///< what it depends on, but for seed, data and float model
  };

  void add(const RungSpec* rung) {
    const std::string name(rung == nullptr ? kFloatRung : rung->name);
    Step step{.recipe = rung_recipe(text_, rung, options_.overrides), .folder = options_.out / folder_of(name)};
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      check(steps_[i].folder != step.folder, text_.file, ": [rungs] name: '", ladder_.rungs[i].name, "' and '", name,
            "' would be written to one folder; name one otherwise");
    }
    toml::table root = parse_toml(text_.text, text_.file);
    apply_overrides(root, rung == nullptr ? std::vector<std::string>() : rung->set);
    apply_overrides(root, options_.overrides);
    for (const char* const section : {"rungs", "check"}) {
      root.erase(section);
    }
    if (rung == nullptr) {
      for (const char* const section : {"quantize", "qat", "convert"}) {
        root.erase(section);
      }
    }
    std::ostringstream said;
    said << root;
    step.key = said.str();
    ladder_.rungs.push_back({.name = name, .how = how_of(step.recipe), .is_float = rung == nullptr});
    steps_.push_back(std::move(step));
  }

  void run_step(std::size_t number) {
    Step& step = steps_[number];
    evaluation::Rung& rung = ladder_.rungs[number];
    std::string key = fmt::format("seed {}\ndata {}\nstrict {}\n", options_.seed, data_digest_, options_.strict);
    if (rung.is_float) {
      key += step.recipe.model.file.empty() ? "" : "model " + file_sha256(step.recipe.model.file) + "\n";
    } else {
      key += "float " + in_float_.key + "\n";
      step.recipe = beginning_with(step.recipe, (steps_[0].folder / "fp32.h5").string());
    }
    KeptRun kept = run_or_keep(step.recipe,
                               {.data = options_.data,
                                .out = step.folder,
                                .seed = options_.seed,
                                .threads = options_.threads,
                                .strict = options_.strict,
                                .record = options_.record},
                               digest_of(key + step.key), data_, reporter_);
    std::string changed;
    if (!rung.is_float) {
      kept.run.against_float =
          evaluation::paired_test(in_float_.predictions, kept.predictions, data_.test.labels.data<std::int32_t>());
      changed = fmt::format(", {} predictions changed", kept.run.against_float.changed);
    }
    reporter_.message(fmt::format("{}: {:.2f} %{}, {}", rung.name, 100.0 * kept.run.accuracy(), changed,
                                  kept.was_there ? "as it was there" : fmt::format("{:.0f} s", kept.run.seconds)));
    rung.run = kept.run;
    if (rung.is_float) {
      in_float_ = std::move(kept);
    }
  }

  void measure() {
    std::vector<runtime::Model> models;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      models.push_back(executed(steps_[i].folder / model_file_of(steps_[i].recipe)));
      runtime::Plan plan(models.back(), 1);
      ladder_.rungs[i].parameter_bytes = static_cast<std::int64_t>(runtime::parameter_bytes(plan));
    }
    for (const std::int64_t batch : kBatches) {
      const Tensor examples = random_images(batch, models[0].inputs.at(0).type.shape);
      std::vector<runtime::Plan> plans;
      for (const runtime::Model& model : models) {
        plans.emplace_back(model, batch);
      }
      std::vector<std::function<void()>> work;
      for (runtime::Plan& plan : plans) {
        work.emplace_back([&plan, &examples] { plan.run(examples); });
      }
      const std::vector<std::vector<double>> seconds = time_turns(work, {}, reporter_);
      for (std::size_t i = 0; i < seconds.size(); ++i) {
        const double of_rung = lower_quartile(seconds[i]);
        ladder_.rungs[i].latencies.push_back(
            {.batch = batch, .seconds = of_rung, .of_float = of_rung / lower_quartile(seconds[0])});
      }
    }
  }

  const RecipeText& text_;
  const LadderOptions& options_;
  evaluation::Reporter& reporter_;
  std::vector<Step> steps_;  // of the float model, then by rung
  train::RunData data_;
  std::string data_digest_;
  KeptRun in_float_;
  evaluation::Ladder ladder_;
};

}  // namespace

Recipe rung_recipe(const RecipeText& text, const RungSpec* rung, const std::vector<std::string>& overrides) {
  std::vector<std::string> all = rung == nullptr ? std::vector<std::string>() : rung->set;
  all.insert(all.end(), overrides.begin(), overrides.end());
  Recipe recipe;
  try {
    recipe = parse_recipe(text.text, text.file, all);
  } catch (const Error& error) {
    fail(rung == nullptr ? "" : "rung '" + rung->name + "': ", error.what());
  }
  check(rung == nullptr || recipe.quantize.method != quant::Method::None, "rung '", rung == nullptr ? "" : rung->name,
        "': quantizes nothing; write set = [\"quantize.method=static\"] or another method");
  return series_recipe(text, std::move(all), rung == nullptr ? SeriesPart::Float : SeriesPart::Codes,
                       recipe.name + "-" + folder_of(std::string(rung == nullptr ? kFloatRung : rung->name)));
}

evaluation::Ladder climb(const std::string& recipe, const LadderOptions& options, evaluation::Reporter& reporter) {
  const RecipeText text = recipe_text(recipe);
  return Climber(text, options, reporter).run();
}

}  // namespace detent::recipes
