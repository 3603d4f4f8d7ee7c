#include "detent/train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "detent/evaluation/evaluate.h"
#include "detent/evaluation/findings.h"
#include "detent/evaluation/verify_hybrid.h"
#include "detent/io/sha256.h"
#include "detent/io/tensor_file.h"
#include "detent/nn/fuse_relu.h"
#include "detent/nn/model_file.h"
#include "detent/quant/methods/adaround.h"
#include "detent/quant/methods/hybrid.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"
#include "detent/quant/passes/prepare.h"
#include "detent/report/profile_table.h"
#include "detent/report/ranges_table.h"
#include "detent/train/batches.h"
#include "detent/train/events/event_log.h"
#include "detent/train/evidence/run_distributions.h"
#include "detent/train/evidence/run_drift.h"
#include "detent/train/evidence/run_evidence.h"
#include "detent/train/evidence/run_portrait.h"
#include "detent/train/evidence/written_results.h"
#include "detent/train/output_folder.h"
#include "detent/train/qat.h"
#include "detent/train/quantize/quantizable.h"
#include "detent/train/resume/earlier_run.h"
#include "detent/train/run_data.h"
#include "detent/train/run_files.h"
#include "detent/train/train.h"
#include "detent/train/warnings.h"

namespace detent::train {
namespace {

namespace fs = std::filesystem;

// What the steps of a run share.
struct Run {
  const Settings& settings;
  const RunParts& parts;
  const RunOptions& options;
  evaluation::Reporter& reporter;
  RunData data;
  Attributes attributes;
  evaluation::Metrics metrics;
  std::optional<OutputFolder> folder = {};
  Evaluations evaluations = {};
  std::optional<CutOffRun> cut_off = {};  // what this run goes on with
  RunResults results = {};
  bool writes_checkpoints = true;
  std::unique_ptr<EventLog> events = {};  // none: they are not written

  RunIdentity identity() const { return {settings.name, options.seed, metrics.record}; }
  TrainOptions train_options() const {
    return {.train = settings.train,
            .normalization = data.normalization,
            .augment = settings.data.augment,
            .seed = options.seed,
            .profile = options.profile,
            .checkpoint = writes_checkpoints ? options.out / kCheckpointFile : fs::path(),
            .checkpoint_seconds = options.checkpoint_seconds,
            .checkpoint_attributes = checkpoint_attributes(identity(), results),
            .after_epoch = events ? events->watcher() : EpochWatcher()};
  }
};

std::int64_t save(const Run& run, const nn::Graph& graph, const std::string& kind, const std::string& file,
                  const Attributes& attributes) {
  const fs::path path = run.options.out / file;
  nn::save_model({.graph = graph, .kind = kind, .attributes = attributes}, path);
  return static_cast<std::int64_t>(fs::file_size(path));
}

// The score of a graph, or of a converted model, and its one number; what it said of each example is kept for the
// evidence under its file's name.
template <typename Model, typename Result>
void evaluate_on_test(Run& run, Model& model, const std::string& name, Result& result) {
  evaluation::Evaluation& said = run.evaluations[name];
  said = evaluation::evaluate(model, run.data.test, run.data.normalization, run.reporter);
  check(said.not_finite == 0, "the trained model gives numbers that are not finite for ", said.not_finite, " of ",
        run.data.test.size(), " test examples; lower learning_rate, or set clip_norm");
  result.score = said.score;
  result.test_accuracy = said.score.value();
}

void report_validation(Run& run, nn::Graph& graph, const std::string& what) {
  if (run.data.validation) {
    const evaluation::Evaluation result =
        evaluation::evaluate(graph, *run.data.validation, run.data.normalization, run.reporter);
    const bool is_r2 = result.score.targets == data::TargetKind::kValues;
    run.reporter.message(is_r2 ? fmt::format("{}: validation R2 {:.4f}", what, result.accuracy())
                               : fmt::format("{}: validation accuracy {:.2f} %", what, 100.0 * result.accuracy()));
  }
}

PreparedModel prepared_of(const Run& run, nn::Graph graph) {
  return prepared_model(std::move(graph), run.attributes, run.data, run.options.seed, run.parts.kinds);
}

// Refuses, before any training, batches that one of the trainings would refuse.
void check_batches(Run& run, const nn::Graph& graph) {
  const std::int64_t qat_epochs = run.settings.quantize.method == quant::Method::Qat ? run.settings.qat.epochs : 0;
  if (const std::int64_t epochs = std::max(run.settings.train.epochs, qat_epochs); epochs > 0) {
    const Batches batches = cut_batches(graph, run.settings.train, run.data.train.size());
    count_steps(batches, epochs);
    if (!batches.message.empty()) {
      run.reporter.message(batches.message);
    }
  }
}

// The model that the run begins with.
nn::Graph first_graph(const Run& run) {
  if (run.parts.trained) {
    nn::Graph graph = run.parts.trained->graph.clone(quant::factories_of(run.parts.kinds));
    for (const data::Dataset* part : {&run.data.train, &run.data.test}) {
      check_fits(*part, run.data.description, graph.input_shape(), graph.output_shape());
    }
    return graph;
  }
  nn::Graph graph = run.parts.make_model(run.data.train.example_shape(), run.data.train.classes);
  graph.initialize(run.options.seed);
  return graph;
}

nn::Graph train_float(Run& run) {
  nn::Graph graph = first_graph(run);
  check_quantizable(run.settings, run.parts.kinds, graph, run.settings.convert.strict || run.options.strict);
  check_batches(run, graph);
  if (run.settings.quantize.method == quant::Method::Qat) {
    check_reestimation(run.settings, graph);
  }
  const std::vector<std::string> files = files_of(run.settings);
  run.folder.emplace(run.options.out, files);
  run.cut_off = begin_in_folder(run.options, run.identity(), files, run.parts.kinds, run.reporter);
  run.events = open_events(run.options, run.metrics.targets, run.cut_off, run.reporter);
  run.reporter.message(nn::summary(graph));
  if (run.cut_off && run.cut_off->is_past_float()) {
    run.results = run.cut_off->results;
    run.metrics.fp32 = *run.results.fp32;
    run.metrics.epochs = run.results.epochs;
    return float_model_of(*run.cut_off, run.options.out / kFloatModel, run.parts.kinds);
  }
  if (run.cut_off) {
    adopt_state(graph, run.cut_off->checkpoint.graph);
  }
  // The fused graph computes the same with fewer passes over memory, on the same weights.
  nn::Graph fused = nn::fuse_relu(graph);
  const TrainPhase phase{.name = "float",
                         .epochs = run.settings.train.epochs,
                         .learning_rate = run.settings.train.learning_rate,
                         .validation = run.data.validation ? &*run.data.validation : nullptr,
                         .resume = run.cut_off ? &run.cut_off->checkpoint : nullptr};
  const TrainResult trained = train_phase(fused, run.data.train, run.train_options(), phase, run.reporter);
  run.writes_checkpoints = trained.writes_checkpoints;
  run.metrics.fp32.train_seconds = trained.seconds;
  run.metrics.fp32.precision = run.settings.train.precision;
  run.metrics.fp32.scaler = trained.scaler;
  run.metrics.fp32.steps = trained.steps;
  run.metrics.fp32.was_trained_before = run.parts.trained.has_value();
  run.metrics.fp32.loss = trained.loss;
  run.metrics.epochs = trained.epochs;
  report_validation(run, fused, "float");
  evaluate_on_test(run, fused, "fp32", run.metrics.fp32);
  const runtime::Model lowered = quant::lower(graph, run.parts.kinds, quant::Sums::Apart);
  run.metrics.fp32.model_bytes =
      save(run, graph, "fp32", kFloatModel, with_distributions(run.attributes, lowered, run.data, run.options.seed));
  run.folder->remove_earlier_run(kFloatModel);
  run.results = {.fp32 = run.metrics.fp32,
                 .fp32_sha256 = file_sha256(run.options.out / kFloatModel),
                 .epochs = run.metrics.epochs};
  return graph;
}

PreparedModel train_for_int8(Run& run, const nn::Graph& graph, evaluation::Int8Result& int8) {
  const Checkpoint* const resume = run.cut_off && run.cut_off->is_past_float() ? &run.cut_off->checkpoint : nullptr;
  const QatRun qat{run.settings, run.parts.kinds, run.data, run.train_options(), run.reporter, run.results, resume};
  QatTrained result = train_qat(qat, graph);
  int8.calibration = std::move(result.calibration);
  report_validation(run, result.prepared, "qat");
  run.metrics.epochs.insert(run.metrics.epochs.end(), result.trained.epochs.begin(), result.trained.epochs.end());
  run.metrics.qat = evaluation::TrainedResult{.train_seconds = result.trained.seconds,
                                              .precision = run.settings.train.precision,
                                              .scaler = result.trained.scaler,
                                              .steps = result.trained.steps,
                                              .loss = result.trained.loss};
  evaluate_on_test(run, result.prepared, "qat", *run.metrics.qat);
  if (run.settings.qat.reestimate_batch_norm > 0) {
    evaluation::Reestimation anew{.accuracy_before = run.metrics.qat->test_accuracy};
    anew.batches = reestimate_batch_norms(qat, result.prepared);
    evaluate_on_test(run, result.prepared, "qat", *run.metrics.qat);
    anew.accuracy_after = run.metrics.qat->test_accuracy;
    report_validation(run, result.prepared, "qat, batch norms re-estimated");
    run.metrics.qat->reestimation = anew;
  }
  PreparedModel prepared = prepared_of(run, std::move(result.prepared));
  run.metrics.qat->model_bytes = save(run, prepared.graph, "qat", "qat.h5", prepared.attributes);
  return prepared;
}

PreparedModel quantize_statically(Run& run, const nn::Graph& graph, const quant::QuantizerSpec& weights,
                                  const Improvements& improve, evaluation::Int8Result& result) {
  const auto start = std::chrono::steady_clock::now();
  const quant::QConfigMapping mapping = run.settings.qconfig_mapping(weights);
  nn::Graph improved = improve.empty() ? graph : improve_in_float(graph, mapping, improve, run.parts.kinds);
  if (has(improve, quant::Improvement::AdaRound)) {
    improved = evaluation::adaround(improved, mapping, run.data.train, run.data.normalization,
                                    run.settings.quantize.calibration, run.options.seed, run.reporter, run.parts.kinds);
  }
  nn::Graph prepared = quant::prepare(improved, mapping, run.parts.kinds);
  const auto calibrate = has(improve, quant::Improvement::BiasCorrection) ? &evaluation::calibrate_and_correct_biases
                                                                          : &evaluation::calibrate;
  result.calibration = calibrate(prepared, run.data.train, run.data.normalization, run.settings.quantize.calibration,
                                 run.options.seed, run.reporter);
  quant::freeze_observers(prepared);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return prepared_of(run, std::move(prepared));
}

// Saves a model and reads it back: what was saved is what is looked at.
runtime::Model save_and_read(Run& run, const quant::Converted& converted, const Attributes& attributes,
                             const std::string& file, evaluation::Int8Result& result) {
  if (run.metrics.ledger.empty()) {
    run.metrics.ledger = converted.ledger;
    run.reporter.message(quant::to_text(converted.ledger));
  }
  const fs::path path = run.options.out / file;
  runtime::save_model({.model = converted.model, .attributes = attributes}, path);
  result.model_bytes = static_cast<std::int64_t>(fs::file_size(path));
  return *quant::open_model(path, run.parts.kinds).model();
}

// Saves the converted model and reads it back, verifies what was saved against the prepared one and evaluates it.
evaluation::Int8Result save_and_verify(Run& run, const PreparedModel& prepared, const std::string& file,
                                       evaluation::Int8Result result) {
  const runtime::Model shipped = save_and_read(run, prepared.converted, prepared.attributes, file, result);
  result.verify = evaluation::verify(prepared.graph, shipped, run.data.test, run.data.normalization, run.reporter);
  evaluate_on_test(run, shipped, fs::path(file).stem().string(), result);
  nn::Graph measured = prepared.graph.clone(quant::factories_of(run.parts.kinds));
  result.ranges = evaluation::measure_ranges(measured, run.data.train, run.data.normalization,
                                             run.settings.quantize.calibration, run.options.seed, run.reporter);
  return result;
}

void tell_ranges(Run& run) {
  run.reporter.message("ranges and channels of int8, on training examples that did not set them:\n" +
                       report::ranges_table(run.metrics.int8->ranges));
}

// Quantizes without examples, saves and reads back, verifies what was saved and evaluates it.
evaluation::Int8Result quantize_without_examples(Run& run, const nn::Graph& graph, evaluation::Int8Result result) {
  const auto start = std::chrono::steady_clock::now();
  const quant::Converted converted =
      quant::quantize_hybrid(graph, run.settings.qconfig_mapping(), result.method, run.parts.kinds);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Attributes attributes = with_distributions(run.attributes, converted.model, run.data, run.options.seed);
  const runtime::Model shipped = save_and_read(run, converted, attributes, "int8.h5", result);
  result.verify = evaluation::verify_hybrid(shipped, run.data.test, run.data.normalization, run.reporter);
  evaluate_on_test(run, shipped, "int8", result);
  return result;
}

void make_int8(Run& run, const nn::Graph& graph) {
  const QuantizeSettings& quantize = run.settings.quantize;
  if (quantize.method == quant::Method::None) {
    return;
  }
  const bool is_bf16 = quantize.method == quant::Method::Bf16;
  evaluation::Int8Result result{.name = "int8",
                                .method = quantize.method,
                                .weights = is_bf16 ? std::string("bf16") : quant::to_text(quantize.weights)};
  if (quantize.method == quant::Method::Qat) {
    const PreparedModel prepared = train_for_int8(run, graph, result);
    run.metrics.int8 = save_and_verify(run, prepared, "int8.h5", result);
    tell_ranges(run);
    return;
  }
  if (quant::is_hybrid(quantize.method)) {
    result.name = std::string(quant::name_of(quantize.method));
    run.metrics.int8 = quantize_without_examples(run, graph, result);
    return;
  }
  result.improve = quantize.improve;
  const PreparedModel prepared = quantize_statically(run, graph, quantize.weights, quantize.improve, result);
  save(run, prepared.graph, "qat", "prepared.h5", prepared.attributes);
  run.metrics.int8 = save_and_verify(run, prepared, "int8.h5", result);
  tell_ranges(run);
  if (!quantize.improve.empty()) {
    evaluation::Int8Result plain{
        .name = "static, not improved", .method = quantize.method, .weights = quant::to_text(quantize.weights)};
    const PreparedModel not_improved = quantize_statically(run, graph, quantize.weights, {}, plain);
    run.metrics.not_improved = save_and_verify(run, not_improved, kNotImproved, std::move(plain));
  }
}

// The static int8 models beside the main one.
void compare_static(Run& run, const nn::Graph& graph) {
  for (const std::string& text : run.settings.quantize.compare_static) {
    const quant::QuantizerSpec weights = quant::parse_weight_quantizer(text);
    evaluation::Int8Result result{
        .name = variant_name(weights), .method = quant::Method::Static, .weights = quant::to_text(weights)};
    const PreparedModel prepared = quantize_statically(run, graph, weights, {}, result);
    run.metrics.variants.push_back(save_and_verify(run, prepared, file_of_variant(weights), std::move(result)));
  }
}

}  // namespace

evaluation::Metrics run(const Settings& settings, const RunParts& parts, const RunOptions& options,
                        evaluation::Reporter& reporter) {
  const auto start = std::chrono::steady_clock::now();
  RunData data = open_run_data(settings.data, options.data, parts.readers,
                               parts.trained ? parts.trained->attributes : Attributes(), parts.trained_file);
  reporter.message("data: " + data.description);
  Attributes attributes = model_attributes(settings.name, options.seed, data);
  Run run{settings, parts, options, reporter, std::move(data), std::move(attributes), {}};
  run.metrics.recipe = settings.name;
  run.metrics.dataset = run.data.name;
  run.metrics.dataset_description = run.data.description;
  run.metrics.seed = options.seed;
  run.metrics.threads = options.threads;
  run.metrics.targets = run.data.train.targets;
  for (std::int64_t k = 0; run.metrics.targets != data::TargetKind::kClasses && k < run.data.train.classes; ++k) {
    run.metrics.target_names.push_back(run.data.train.class_name(k));
  }
  run.metrics.chance = evaluation::chance_of(run.data.test);
  evaluation::slices_of(run.data.test.take(1), settings.slices);  // refuses what the data do not have
  evaluation::require_classes(settings.check_for(run.data.name), run.data.test.targets);
  run.metrics.record = completed(options.record, run.data, options.data_sha256);
  run.metrics.warnings = warnings_before(settings, run.data.train, run.data.test);
  for (const std::string& warning : run.metrics.warnings) {
    reporter.message("warning: " + warning);
  }

  const evaluation::CheckSettings check = settings.check_for(run.data.name);
  check_targets(settings, run.data.train, check, run.data.validation.has_value());
  const nn::Graph graph = train_float(run);
  make_int8(run, graph);
  if (settings.quantize.method != quant::Method::None) {
    compare_static(run, graph);
  }

  const auto seconds_so_far = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  add_evidence(options.out, settings, run.data, parts.kinds, std::move(run.evaluations), seconds_so_far(), reporter,
               run.metrics);
  run.metrics.total_seconds = seconds_so_far();
  evaluation::add_findings(check, run.metrics);
  run.metrics.checked = evaluation::checked_of(check, run.metrics);
  run.metrics.failures = evaluation::failures_of(check, run.metrics);
  run.metrics.portrait = portrait_of(graph, settings, run.data, parts.kinds, options.out, run.metrics);
  run.metrics.drift = drift_of_test(run.data, parts.kinds, options.out, run.metrics.int8.has_value());
  if (run.events) {
    run.events->finish(run.metrics);
  }
  write_results(options.out, run.metrics, run.data.test);
  fs::remove(options.out / kCheckpointFile);
  fs::remove(options.out / kBestCheckpointFile);
  return run.metrics;
}

}  // namespace detent::train
