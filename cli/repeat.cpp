#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/recipes/run.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"
#include "detent/train/output_folder.h"
#include "detent/train/resume/compare_models.h"
#include "detent/train/resume/earlier_run.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

// A folder of its own that is removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "detent-repeat-XXXXXX").string();
    check(::mkdtemp(name.data()) != nullptr, name, ": cannot be made; name a folder with --out");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Paths in the record start in the folder in which the run was started.
void go_to(const std::string& folder) {
  std::error_code error;
  if (!folder.empty() && fs::is_directory(folder, error)) {
    fs::current_path(folder, error);
  }
}

std::string table_of(const std::vector<train::ModelComparison>& compared) {
  std::size_t width = 0;
  for (const train::ModelComparison& file : compared) {
    width = std::max(width, file.name.size());
  }
  std::string text;
  for (const train::ModelComparison& file : compared) {
    text += file.is_equal() ? fmt::format("  {:<{}}  equal, {} bytes\n", file.name, width,
                                          report::with_separators(static_cast<std::int64_t>(file.bytes)))
                            : fmt::format("  {:<{}}  DIFFERS: {}\n", file.name, width, file.difference);
  }
  return text;
}

nlohmann::json json_of(const std::vector<train::ModelComparison>& compared) {
  nlohmann::json files = nlohmann::json::array();
  for (const train::ModelComparison& file : compared) {
    files.push_back({{"name", file.name},
                     {"bytes", file.bytes},
                     {"equal", file.is_equal()},
                     {"difference", file.is_equal() ? nlohmann::json(nullptr) : nlohmann::json(file.difference)}});
  }
  return files;
}

int repeat(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  const fs::path named = fs::absolute(arguments.positionals()[0]);
  const fs::path metrics = fs::is_directory(named) ? named / train::kMetricsFile : named;
  const fs::path folder = metrics.parent_path();
  const train::FinishedRun before = train::read_finished_run(metrics);
  const evaluation::RunRecord& record = before.identity.record;
  check(before.has_record && record.has_recipe(), metrics.string(),
        ": the run cannot be repeated, for it has no record of a recipe");

  std::optional<TemporaryFolder> temporary;
  const std::optional<std::string> out = arguments.text("out");
  train::RunOptions options{.out = out ? fs::absolute(*out) : temporary.emplace().path(),
                            .seed = before.identity.seed,
                            .threads = threads_of(arguments),
                            .existing = train::Existing::Refuse,
                            .data_sha256 = record.data_sha256};
  check(!fs::exists(options.out) || !fs::equivalent(options.out, folder), options.out.string(),
        ": is the run to repeat itself; name another folder with --out");
  if (const auto data = arguments.text("data")) {
    options.data = fs::absolute(*data);
  } else if (!record.data.empty()) {
    options.data = record.data;
  }
  go_to(record.folder);
  recipes::Recipe recipe = recipes::parse_recipe(record.recipe_text, record.recipe_file, record.overrides);
  recipe.name = before.identity.recipe;
  options.record = {.command = record.command, .folder = record.folder, .data = record.data};

  ConsoleReporter reporter(is_json);
  evaluation::Metrics now;
  in_pool(arguments, [&] { now = recipes::run(recipe, options, reporter); });

  const std::vector<train::ModelComparison> compared = train::compare_models(folder, options.out);
  const auto count = std::ranges::count_if(compared, [](const auto& file) { return !file.is_equal(); });
  const std::vector<std::string> others = train::surroundings(before.identity, {now.recipe, now.seed, now.record});
  if (is_json) {
    print(report::json_text(
        {{"run", folder.string()}, {"equal", count == 0}, {"files", json_of(compared)}, {"surroundings", others}}));
  } else {
    print("\nrepeated " + folder.string() + ":\n" + table_of(compared));
    for (const std::string& other : others) {
      print("  then " + other + "\n");
    }
  }
  if (count > 0) {
    print_error(
        fmt::format("detent: check failed: {} of {} models differ from those of the run", count, compared.size()));
  }
  return count == 0 ? 0 : 1;
}

}  // namespace

Command repeat_command() {
  return {.spec = {.name = "repeat",
                   .positionals = "RUN",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Do a run again as its metrics.json records it, and compare the models",
                   .example = "detent repeat runs/mnist-cnn\n"
                              "detent repeat runs/mnist-cnn/metrics.json --data mnist/ --out runs/again",
                   .options = {data_option(),
                               {"out", "DIR", "Folder for the results (default: a temporary one, removed at the end)"},
                               threads_option(),
                               json_option()}},
          .run = repeat};
}

}  // namespace detent::cli
