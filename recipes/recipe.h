#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/loader.h"
#include "nn/modules.h"
#include "quant/qconfig.h"

/// A recipe is one TOML file that says all about a run: sections [data] [model] [train] [quantize] [qat] [convert]
/// [check], each a struct here, with the defaults of keys that are left out. docs/recipes.md lists the keys.
namespace detent::recipes {

struct DataSection {
  std::string name = "mnist";       ///< as in data/source.h; a path in a recipe file starts at the file's folder
  double validation = 0.0;          ///< share of the training examples (the last ones) held out, in [0, 1)
  std::int64_t train_examples = 0;  ///< use only the first so many; 0: all
  std::int64_t test_examples = 0;   ///< use only the first so many; 0: all
  data::Normalization normalize;    ///< {mean, std}; default: pixel / 255
  data::Augmentation augment;       ///< "none", "shift", "affine", "elastic", or {shift, rotation, scale, elastic}
};

/// One line of [model] layers, or one of the [[model.nodes]]. `text` is the operation and its options: "conv 32 3x3
/// stride 2". See model_builder.h.
struct LayerSpec {
  std::string text = {};
  std::string name = {};                 ///< empty: the operation's own ("conv1", "fc2")
  std::vector<std::string> inputs = {};  ///< empty: the layer before; "input" is the graph's input
  std::string where = {};                ///< "recipe.toml:12: [model] layer 3", for messages
};

struct ModelSection {
  std::vector<LayerSpec> layers;
  nn::Init init = nn::Init::Default;
};

enum class OptimizerKind : std::uint8_t { Sgd, Adam, AdamW };
enum class ScheduleKind : std::uint8_t { Constant, Step, Cosine, OneCycle };
enum class LossKind : std::uint8_t { CrossEntropy, SquaredHinge, MeanSquaredError };
std::string_view name_of(OptimizerKind kind);  ///< "sgd", "adam", "adamw"
std::string_view name_of(ScheduleKind kind);   ///< "constant", "step", "cosine", "one_cycle"
std::string_view name_of(LossKind kind);       ///< "cross_entropy", "squared_hinge", "mse"
std::string_view precision_name(DType dtype);  ///< "fp32", "bf16", "fp16": F32, BF16, F16

struct TrainSection {
  std::int64_t epochs = 2;  ///< 0: no float training
  std::int64_t batch = 128;
  std::optional<bool> drop_last = {};  ///< leave out a last batch that is not full; not given: batches.h decides
  OptimizerKind optimizer = OptimizerKind::Adam;
  double learning_rate = 1e-3;
  ScheduleKind schedule = ScheduleKind::Cosine;
  std::int64_t step_epochs = 1;      ///< schedule "step": after every so many epochs ...
  double step_factor = 0.1;          ///< ... the learning rate is multiplied by this
  double final_learning_rate = 0.0;  ///< schedule "cosine": where it ends
  double warmup_share = 0.3;         ///< schedule "one_cycle": share of the steps that go up
  std::int64_t warmup_steps = 0;     ///< linear warm-up in front of any schedule
  double momentum = 0.9;             ///< sgd
  bool nesterov = false;             ///< sgd
  double weight_decay = 0.0;         ///< of weights; never of biases and norms
  double clip_norm = 0.0;            ///< largest norm of all gradients together; 0: not clipped
  LossKind loss = LossKind::CrossEntropy;
  double label_smoothing = 0.0;  ///< cross_entropy
  DType precision = DType::F32;  ///< of float products: "fp32", "bf16" or "fp16" (with loss scaling)
};

enum class Method : std::uint8_t { Qat, Static, None };
std::string_view name_of(Method method);  ///< "qat", "static", "none"

struct QuantizeSection {
  Method method = Method::Qat;
  quant::WeightQuantizer weights;
  quant::ActivationQuantizer activations;
  std::vector<std::string> keep_float;  ///< names or patterns of modules
  std::int64_t calibration = 512;       ///< training examples from which static quantization takes its ranges
  /// Weights of static int8 models that are made beside the main one, from the same float model, for the table.
  std::vector<std::string> compare_static;
};

struct QatSection {
  std::int64_t epochs = 1;  ///< at least 1
  double learning_rate = 2e-4;
  double freeze_observers_at = 0.8;   ///< share of the QAT steps, in [0, 1]; 0 freezes after the first step
  double freeze_batch_norm_at = 0.5;  ///< likewise, for batch-norm statistics
  DType backward = DType::BF16;       ///< "bf16" or "fp32": products of the backward pass
  quant::RangeUse range = quant::RangeUse::Previous;
};

struct ConvertSection {
  bool strict = false;  ///< fail if a module stays in float although keep_float does not name it
};

/// What the run must reach. A number that is left out is not checked. [check.<data set>] overrides numbers for runs on
/// that data set ("digits" is the built-in one).
struct CheckSection {
  std::optional<double> fp32_accuracy = {};           ///< at least
  std::optional<double> int8_accuracy = {};           ///< at least
  std::optional<double> max_drop = {};                ///< fp32 accuracy - int8 accuracy, at most
  std::optional<double> static_max_drop = {};         ///< the same, for each of compare_static
  std::optional<std::int64_t> codes_mismatched = {};  ///< at most
};

struct NamedCheck {
  std::string dataset = {};
  CheckSection check = {};
};

struct Recipe {
  std::string name = {};         ///< the file's name without folder and ".toml", as valid UTF-8
  std::string description = {};  ///< the file's first line if it is a comment, without "# "
  DataSection data = {};
  ModelSection model = {};
  TrainSection train = {};
  QuantizeSection quantize = {};
  QatSection qat = {};
  ConvertSection convert = {};
  CheckSection check = {};
  std::vector<NamedCheck> checks_by_dataset = {};

  /// [check] with what [check.<dataset>] says on top.
  CheckSection check_for(std::string_view dataset) const;
  /// How the main model's modules are quantized; with `weights` in place of [quantize] weights if given.
  quant::QConfigMapping qconfig_mapping(std::optional<quant::WeightQuantizer> weights = {}) const;
};

/// Reads a recipe from TOML text. `file` is its name in messages. Each of `overrides` is "section.key=value", the value
/// in TOML or a bare word for a string; they are applied in order and checked as the file is.
///
/// Throws Error, in one line with file and line number, for text that is not UTF-8, bad TOML, an unknown section or key
/// (naming the nearest), a wrong type, a value out of range, or values that contradict each other:
///   recipe.toml:12: [train] epochs: expected a whole number >= 0, got "two"; write epochs = 2
Recipe parse_recipe(std::string_view text, const std::string& file, const std::vector<std::string>& overrides = {});

/// `recipe` is a file, or the name of a shipped recipe. A name that contains '/' or ends in ".toml" is a file. Throws
/// Error, naming the nearest shipped recipe, if there is none.
Recipe load_recipe(const std::string& recipe, const std::vector<std::string>& overrides = {});

/// The comment in the first line of a recipe's text: what `detent ls` shows.
std::string first_comment(std::string_view text);

}  // namespace detent::recipes
