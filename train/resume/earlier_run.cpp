#include "detent/train/resume/earlier_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "detent/io/description.h"
#include "detent/io/sha256.h"
#include "detent/nn/model_file.h"
#include "detent/report/json_text.h"
#include "detent/report/record_json.h"
#include "detent/train/output_folder.h"

namespace detent::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMends = "start anew with --overwrite, or name another folder with --out";

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : "; ") + part;
  }
  return text;
}

void check_same(const fs::path& out, std::string_view what, const RunIdentity& before, const RunIdentity& now) {
  const std::vector<std::string> found = differences(before, now);
  check(found.empty(), out.string(), ": the run to go on with is another one, ", what, ": ", joined(found),
        "; say what it was started with, ", kMends);
}

template <typename T>
T attribute(const Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  check(found != attributes.end() && std::holds_alternative<T>(found->second),
        "it is no checkpoint of a run: no attribute '", name, "'");
  return std::get<T>(found->second);
}

RunIdentity identity_of(const Checkpoint& checkpoint) {
  return {.recipe = attribute<std::string>(checkpoint.others, "recipe"),
          .seed = checkpoint.position.seed,
          .record = report::record_of(
              parse_description("record of a run", attribute<std::string>(checkpoint.others, "record")))};
}

CutOffRun take_up(const RunOptions& options, const RunIdentity& now, const quant::Kinds& kinds,
                  evaluation::Reporter& reporter) {
  const fs::path file = options.out / kCheckpointFile;
  CutOffRun run{.checkpoint = load_checkpoint(file, kinds), .results = {}};
  RunIdentity before;
  try {
    before = identity_of(run.checkpoint);
    run.results = run_results_of(attribute<std::string>(run.checkpoint.others, kResultsAttribute));
  } catch (const Error& error) {
    fail(file.string(), ": ", error.what());
  }
  check_same(options.out, "which was cut off", before, now);
  const TrainPosition& position = run.checkpoint.position;
  reporter.message(fmt::format("{}: the run goes on where it was cut off, in {} training after step {}",
                               options.out.string(), position.phase, position.step));
  if (const std::vector<std::string> others = surroundings(before, now); !others.empty()) {
    reporter.message("warning: the models may come out otherwise than without the cut, for the run began with " +
                     joined(others));
  }
  return run;
}

// Nothing if there is no run that is done, or none that can be read.
std::optional<FinishedRun> finished_run_in(const fs::path& out) {
  try {
    return fs::exists(out / kMetricsFile) ? std::optional(read_finished_run(out / kMetricsFile)) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void resume_nothing(const RunOptions& options, const std::optional<FinishedRun>& finished, const RunIdentity& now,
                    const std::vector<std::string>& files, evaluation::Reporter& reporter) {
  const bool is_whole = std::ranges::all_of(files, [&](const std::string& file) {
    return file.starts_with("checkpoint") || file == kFlipsFile || fs::exists(options.out / file);
  });
  if (finished && is_whole) {
    check(finished->has_record, options.out.string(),
          ": holds the finished run of an older version, which does not say what it was made from; ", kMends);
    check_same(options.out, "which is finished", finished->identity, now);
    throw AlreadyFinished(options.out / kMetricsFile, finished->failures);
  }
  reporter.message(options.out.string() + ": there is no checkpoint to go on from: the run begins");
}

}  // namespace

FinishedRun read_finished_run(const fs::path& metrics) {
  std::ifstream in(metrics, std::ios::binary);
  check(in.is_open(), metrics.string(), ": cannot be read; name a folder that detent run wrote to");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  try {
    const nlohmann::json json = parse_description("metrics of a run", text);
    FinishedRun run{.identity = {.recipe = json.at("recipe"), .seed = json.at("seed")},
                    .has_record = json.contains("record"),
                    .failures = json.at("check").at("failures").get<std::vector<std::string>>()};
    if (run.has_record) {
      run.identity.record = report::record_of(json.at("record"));
    }
    return run;
  } catch (const nlohmann::json::exception& error) {
    fail(metrics.string(), ": not the metrics of a run: ", error.what());
  } catch (const Error& error) {
    fail(metrics.string(), ": not the metrics of a run: ", error.what());
  }
}

Attributes checkpoint_attributes(const RunIdentity& run, const RunResults& results) {
  return {{"recipe", run.recipe},
          {"record", report::json_text(report::to_json(run.record))},
          {kResultsAttribute, to_json_text(results)}};
}

std::optional<CutOffRun> begin_in_folder(const RunOptions& options, const RunIdentity& now,
                                         const std::vector<std::string>& files, const quant::Kinds& kinds,
                                         evaluation::Reporter& reporter) {
  const fs::path file = options.out / kCheckpointFile;
  const bool is_cut_off = fs::exists(file);
  const bool resumes = options.existing == Existing::Resume;
  if (is_cut_off && resumes) {
    return take_up(options, now, kinds, reporter);
  }
  check(!is_cut_off || options.existing == Existing::Replace, options.out.string(),
        ": holds a run that was cut off; go on with it by --resume, ", kMends);
  const std::optional<FinishedRun> finished = finished_run_in(options.out);
  if (resumes) {
    resume_nothing(options, finished, now, files, reporter);
  }
  if (finished) {
    reporter.message(
        fmt::format("{}: the finished run of {}, seed {}, in this folder is replaced as a whole when this "
                    "run has trained its float model",
                    options.out.string(), finished->identity.recipe, finished->identity.seed));
  }
  fs::remove(file);
  fs::remove(options.out / kBestCheckpointFile);
  return std::nullopt;
}

nn::Graph float_model_of(const CutOffRun& run, const fs::path& path, const quant::Kinds& kinds) {
  check(fs::exists(path) && file_sha256(path) == run.results.fp32_sha256, path.string(),
        ": is not the float model that the run to go on with wrote; ", kMends);
  return nn::load_model(path, quant::factories_of(kinds)).graph;
}

void adopt_state(nn::Graph& graph, const nn::Graph& trained) {
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (!node.owns_module()) {
      continue;
    }
    for (const nn::Slot& slot : node.module->slots()) {
      for (const nn::Slot& from : trained.node(node.name).module->slots()) {
        if (from.name == slot.name) {
          check(from.tensor->shape() == slot.tensor->shape() && from.tensor->dtype() == slot.tensor->dtype(),
                "checkpoint: ", node.name, ".", slot.name, ": expected ", slot.tensor->shape(), ", got ",
                from.tensor->shape());
          *slot.tensor = *from.tensor;
        }
      }
    }
    node.module->loaded();
  }
}

}  // namespace detent::train
