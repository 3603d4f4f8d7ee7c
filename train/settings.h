#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detent/data/formats/read_options.h"
#include "detent/data/loader.h"
#include "detent/evaluation/checks.h"
#include "detent/evaluation/evidence/slices.h"
#include "detent/quant/methods/method.h"
#include "detent/quant/quantizers/qconfig.h"

/// All that a run is told but its model: a struct a topic, with the defaults of what is not said. Recipes are one way
/// to say it (recipes/recipe.h), where [train] is TrainSettings and so on.
namespace detent::train {

struct DataSettings {
  /// As in data/source.h; a path in a recipe file starts at the file's folder. Not said: what the model that the run
  /// begins with was trained on, else "mnist".
  std::optional<std::string> name = {};
  data::ReadOptions read = {};      ///< how data are understood that do not say it themselves
  double validation = 0.0;          ///< share of the training examples held out, by class, in [0, 1)
  std::int64_t train_examples = 0;  ///< use only the first so many; 0: all
  std::int64_t test_examples = 0;   ///< use only the first so many; 0: all
  /// {mean, std}. Not said: as the model that the run begins with was trained, else pixel / 255.
  std::optional<data::Normalization> normalize = {};
  bool normalize_columns = false;  ///< "columns": each column, or channel, by its mean and std in the training part
  data::Augmentation augment;      ///< "none", "shift", "affine", "elastic", "colour", or a table (data/augment.h)
};

enum class OptimizerKind : std::uint8_t { Sgd, Adam, AdamW };
enum class ScheduleKind : std::uint8_t { Constant, Step, Cosine, OneCycle, Plateau };
/// Auto: cross-entropy of classes, mean squared error of values, binary cross-entropy of flags.
enum class LossKind : std::uint8_t {
  Auto,
  CrossEntropy,
  SquaredHinge,
  MeanSquaredError,
  L1,
  Huber,
  BinaryCrossEntropy
};
/// What the best epoch is the best in, and what must go on getting better: validation loss, lower, or accuracy (of
/// values R2), higher.
enum class Monitor : std::uint8_t { Loss, Accuracy };
/// The model that a phase ends with.
enum class Keep : std::uint8_t { Last, Best };

/// What classes weigh in cross-entropy, "yes" of flags in binary cross-entropy. Neither: 1.
struct ClassWeights {
  bool is_balanced = false;          ///< from the training examples (losses/loss.h)
  std::vector<double> weights = {};  ///< one a class or flag, each above 0
  bool is_on() const { return is_balanced || !weights.empty(); }
};

struct TrainSettings {
  std::int64_t epochs = 2;  ///< 0: no float training
  std::int64_t batch = 128;
  std::int64_t accumulate = 1;         ///< batches whose gradients make one step
  std::optional<bool> drop_last = {};  ///< leave out a last batch that is not full; not given: batches.h decides
  OptimizerKind optimizer = OptimizerKind::Adam;
  double learning_rate = 1e-3;
  ScheduleKind schedule = ScheduleKind::Cosine;
  std::int64_t step_epochs = 1;       ///< schedule "step": after every so many epochs ...
  double step_factor = 0.1;           ///< ... the learning rate is multiplied by this; "plateau": likewise
  std::int64_t plateau_patience = 2;  ///< "plateau": epochs without gain before that
  double final_learning_rate = 0.0;   ///< schedule "cosine": where it ends
  double warmup_share = 0.3;          ///< schedule "one_cycle": share of the steps that go up
  std::int64_t warmup_steps = 0;      ///< linear warm-up in front of any schedule
  double momentum = 0.9;              ///< sgd
  bool nesterov = false;              ///< sgd
  double weight_decay = 0.0;          ///< of weights; never of biases and norms
  double clip_norm = 0.0;             ///< largest norm of all gradients together; 0: not clipped
  LossKind loss = LossKind::Auto;
  double huber_delta = 1.0;         ///< huber
  ClassWeights class_weights = {};  ///< cross_entropy and binary_cross_entropy
  double label_smoothing = 0.0;     ///< cross_entropy
  Keep keep = Keep::Last;           ///< Best needs a validation part
  std::int64_t patience = 0;        ///< a phase ends after so many epochs without a new best one; 0: it does not
  Monitor monitor = Monitor::Loss;
  DType precision = DType::F32;  ///< of float products: "fp32", "bf16" or "fp16" (with loss scaling)
};

/// How some layers are quantized otherwise than the rest.
struct LayerSettings {
  std::string pattern = {};  ///< a name, or text with '*'
  bool keep_float = false;
  std::optional<quant::QuantizerSpec> weights = {};  ///< not said: as the rest
  std::optional<quant::QuantizerSpec> activations = {};
  std::optional<DType> numbers = {};
};

struct QuantizeSettings {
  quant::Method method = quant::Method::Qat;
  quant::QuantizerSpec weights = quant::int8_weights();
  quant::QuantizerSpec activations;
  DType numbers = DType::F32;               ///< of activations with method "weight-only", which has no codes of them
  std::vector<quant::Improvement> improve;  ///< of the main model; with method "static" alone
  std::vector<std::string> keep_float;      ///< names or patterns of modules
  std::vector<LayerSettings> layers;        ///< the most particular one wins, among patterns the last
  std::int64_t calibration = 512;           ///< training examples from which static quantization takes its ranges
  /// Weights of static int8 models that are made beside the main one, from the same float model, for the table.
  std::vector<std::string> compare_static;
};

/// A time of a phase: after a share of its steps, in [0, 1], or after so many epochs or steps.
struct Moment {
  enum class Unit : std::uint8_t { Share, Epochs, Steps };
  Moment(double amount, Unit measure = Unit::Share) : value(amount), unit(measure) {}  // a plain number is a share

  double value;
  Unit unit;
  bool operator==(const Moment&) const = default;
};

struct QatSettings {
  std::int64_t epochs = 1;  ///< at least 1
  double learning_rate = 2e-4;
  std::int64_t start = 0;             ///< of `epochs`, how many are trained in float first; fewer than all
  bool calibrate_first = false;       ///< ranges begin with those of a calibration, not with those of the first batch
  Moment freeze_observers_at = 0.8;   ///< ranges stand still from then on; not before the first step with quantizers
  Moment freeze_batch_norm_at = 0.5;  ///< likewise, batch-norm statistics, which ranges take with them
  double distill = 0.0;               ///< share of the loss that is distance from the float model's outputs, in [0, 1]
  double temperature = 4.0;           ///< of that distance
  std::int64_t reestimate_batch_norm = 0;  ///< batches from which statistics are taken anew at the end; 0: they are not
  DType backward = DType::BF16;            ///< "bf16" or "fp32": products of the backward pass
  quant::RangeUse range = quant::RangeUse::Previous;
};

struct ConvertSettings {
  bool strict = false;  ///< fail if a module stays in float although keep_float does not name it
};

struct NamedCheck {
  std::string dataset = {};
  evaluation::CheckSettings check = {};
};

struct Settings {
  std::string name = {};  ///< what files and reports call the run
  DataSettings data = {};
  TrainSettings train = {};
  QuantizeSettings quantize = {};
  QatSettings qat = {};
  ConvertSettings convert = {};
  evaluation::CheckSettings check = {};
  std::vector<NamedCheck> checks_by_dataset = {};
  std::vector<evaluation::SliceRule> slices = {};  ///< of the evidence, beside those of every run

  /// `check` with what checks_by_dataset says on top.
  evaluation::CheckSettings check_for(std::string_view dataset) const;
  /// How the main model's modules are quantized; with `weights` in place of quantize.weights if given.
  quant::QConfigMapping qconfig_mapping(std::optional<quant::QuantizerSpec> weights = {}) const;
};

}  // namespace detent::train
