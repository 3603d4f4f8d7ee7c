#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/text/nearest_path.h"
#include "detent/data/dataset.h"
#include "detent/io/description.h"
#include "detent/io/tensor_file.h"
#include "detent/report/html/flips.h"
#include "detent/report/html/page.h"
#include "detent/report/json_text.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

// The metrics.json of a run's folder, or the file itself.
fs::path metrics_path(const std::string& run) {
  const fs::path path = run;
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  const fs::path file = is_folder ? path / "metrics.json" : path;
  if (!fs::is_regular_file(file, error)) {
    fail("report: ", file.string(), " is not there", did_you_mean_path(file, ";"),
         " name the folder of a finished run, or what run --json wrote");
  }
  return file;
}

nlohmann::json read_metrics(const fs::path& file) {
  check(fs::file_size(file) <= kLongestDescription, "report: ", file.string(), ": more than ",
        kLongestDescription >> 20U, " MiB, so no metrics.json");
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  check(stream.is_open() && !stream.bad(), "report: ", file.string(), ": cannot be read");
  const std::string wrong = "report: " + file.string() + ": not the metrics.json of a run";
  nlohmann::json json = parse_description(wrong, text);
  check(json.is_object() && json.contains("recipe"), wrong);
  return json;
}

// The test images that the page shows, where the data set is at hand.
std::map<std::int64_t, std::string> pictures(const fs::path& folder, const Arguments& arguments,
                                             const nlohmann::json& metrics) {
  const nlohmann::json* const pair = report::html::gallery_pair(metrics);
  if (pair == nullptr || report::html::shown_flips(*pair).empty()) {
    return {};
  }
  try {
    const quant::OpenedModel model = quant::open_model(folder / "fp32.h5");
    const train::RunData data = train::open_model_data(model, arguments.text("data"));
    return report::html::pictures_of(metrics, data.test);
  } catch (const Error& error) {
    check(!arguments.has("data"), error.what());
    print_error(std::string("detent: the page has no pictures: ") + error.what());
    return {};
  }
}

// The last part of each path, or all of it where two end alike.
void name_runs(const std::vector<std::string>& paths, std::vector<report::html::Run>& runs) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    names.push_back(data::name_of_path(paths[i]));
    runs[i].name = names.back();
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (std::ranges::count(names, names[i]) > 1) {
      runs[i].name = paths[i];
    }
  }
}

int write_report(const Arguments& arguments) {
  const std::vector<std::string>& paths = arguments.positionals();
  std::vector<report::html::Run> runs;
  std::vector<fs::path> files;
  for (const std::string& path : paths) {
    files.push_back(metrics_path(path));
    runs.push_back({.metrics = read_metrics(files.back())});
  }
  name_runs(paths, runs);
  if (runs.size() == 1) {
    in_pool(arguments, [&] { runs[0].pictures = pictures(files[0].parent_path(), arguments, runs[0].metrics); });
  }
  const bool is_folder = runs.size() == 1 && files[0] != fs::path(paths[0]);
  const fs::path out = arguments.text("out").value_or((is_folder ? paths[0] + "/" : "") + "report.html");
  write_text_file(out, report::html::page(runs));
  const std::string written = out.lexically_normal().string();
  print(arguments.has("json") ? report::json_text({{"report", written}, {"runs", runs.size()}})
                              : "report in " + written + "\n");
  return 0;
}

}  // namespace

Command report_command() {
  return {.spec = {.name = "report",
                   .positionals = "RUN...",
                   .min_positionals = 1,
                   .max_positionals = 1000,
                   .summary = "A page about a run, or several side by side: one HTML file",
                   .example = "detent report runs/mnist-cnn\n"
                              "detent report runs/mnist-cnn runs/mnist-mlp --out both.html",
                   .options = {data_option(),
                               {"out", "FILE",
                                "The page to write (default: report.html in the run's folder; of several runs, here)"},
                               threads_option(),
                               json_option()}},
          .run = write_report};
}

}  // namespace detent::cli
