#pragma once

#include "detent/recipes/recipe.h"
#include "detent/recipes/section_reader.h"

/// What is said of the keys of a recipe's sections, in one place a key: its name, the member that it sets (whose
/// default is the key's), its bounds or words, and what it means. `Section` is a SectionReader, or what makes the
/// reference tables of docs/recipes.md.
namespace detent::recipes {

inline const NumberRange kAtLeastZero{.min = 0};
inline const NumberRange kAtLeastOne{.min = 1};
// With at most 2^32 examples, steps of two phases stay below 2^53.
inline const NumberRange kEpochs{.min = 0, .max = 1e6};
inline const NumberRange kSomeEpochs{.min = 1, .max = 1e6};
inline const NumberRange kPositive{.min = 0, .is_open_below = true};
inline const NumberRange kShare{.min = 0, .max = 1};
inline const NumberRange kShareBelowOne{.min = 0, .max = 1, .is_open_above = true};
inline const NumberRange kShareBetween{.min = 0, .max = 1, .is_open_below = true, .is_open_above = true};

// Keys of more than one form, which recipe.cpp reads.
void read_data_name(SectionReader& in, std::optional<std::string>& name);
void read_normalize(SectionReader& in, train::DataSettings& data);
void read_label(SectionReader& in, std::vector<std::string>& label);
void read_task(SectionReader& in, std::optional<data::TargetKind>& task);
void read_image_size(SectionReader& in, data::ReadOptions& read);
void read_channels(SectionReader& in, std::int64_t& channels);
void read_augment(SectionReader& in, data::Augmentation& augment);
void read_class_weights(SectionReader& in, train::ClassWeights& weights);
void read_weights(SectionReader& in, quant::QuantizerSpec& weights);
void read_activations(SectionReader& in, train::QuantizeSettings& quantize);
void read_layer_settings(SectionReader& in, std::vector<train::LayerSettings>& layers);
void read_freeze_observers_at(SectionReader& in, train::Moment& moment);
void read_freeze_batch_norm_at(SectionReader& in, train::Moment& moment);

template <typename Section>
void describe(Section& in, train::DataSettings& data) {
  in.form("name", data.name, read_data_name, "MNIST, else digits",
          "a data set that is looked for on disk, `\"digits\"` (built in), or the path of a folder or file "
          "([data of one's own](#data-of-ones-own))");
  in.form("label", data.read.label, read_label, "none",
          "of tables and arrays: the column to be predicted, by name, or by number from 0 (-1: the last); or a list of "
          "them; "
          "none: the one called label, class, target or y");
  in.form("task", data.read.task, read_task, "none",
          "`\"classes\"`, `\"values\"` (real numbers), `\"flags\"` (yes or no, each by itself); none: classes for one "
          "label, for several flags if all are 0 or 1, else values");
  in.texts("slices", data.read.slices, "columns that are no features but kept beside them");
  in.texts("ignore", data.read.ignore, "columns that are passed over");
  in.texts("one_hot", data.read.one_hot,
           "of tables: columns, by name, of which each different field becomes an input of its own "
           "([categories](#categories))");
  in.flag("header", data.read.header, "of tables: whether the first line names the columns; none: if none is a number");
  in.form("image_size", data.read, read_image_size, "none",
          "`[height, width]` or one number: images are resized to it, rows of pixels become images; none: all have one "
          "size");
  in.form("channels", data.read.channels, read_channels, "none", "1 (grey) or 3 (colour): images are turned to it");
  in.number("test_share", data.read.test_share, kShareBetween,
            "share of the examples, drawn from each class, that is the test part of data that have none");
  in.whole(
      "split_seed", data.read.split_seed, kAtLeastZero,
      "of that draw, of the validation part's, and of the order of data of one's own; `--seed` does not change it");
  in.whole("train_examples", data.train_examples, kAtLeastZero, "use only the first so many; 0: all");
  in.whole("test_examples", data.test_examples, kAtLeastZero, "use only the first so many; 0: all");
  in.number("validation", data.validation, kShareBelowOne,
            "share of the training examples, drawn from each class, that is held out; it must hold out one");
  in.form("normalize", data, read_normalize, "`{mean = 0.0, std = 1.0}`",
          "x = (pixel / 255 - mean) / std; of data that are real numbers already, x = (value - mean) / std; "
          "`\"columns\"`: by the training part's mean and std of each column, or channel of images");
  in.form(
      "augment", data.augment, read_augment, "`\"none\"`",
      "of images: `\"shift\"`, `\"affine\"`, `\"elastic\"`, `\"colour\"`, or a table ([augmentation](#augmentation))");
}

template <typename Section>
void describe(Section& in, train::TrainSettings& train) {
  static const Names<train::OptimizerKind> kOptimizers{
      {"sgd", train::OptimizerKind::Sgd}, {"adam", train::OptimizerKind::Adam}, {"adamw", train::OptimizerKind::AdamW}};
  static const Names<train::ScheduleKind> kSchedules{{"constant", train::ScheduleKind::Constant},
                                                     {"step", train::ScheduleKind::Step},
                                                     {"cosine", train::ScheduleKind::Cosine},
                                                     {"one_cycle", train::ScheduleKind::OneCycle},
                                                     {"plateau", train::ScheduleKind::Plateau}};
  static const Names<train::LossKind> kLosses{{"auto", train::LossKind::Auto},
                                              {"cross_entropy", train::LossKind::CrossEntropy},
                                              {"squared_hinge", train::LossKind::SquaredHinge},
                                              {"mse", train::LossKind::MeanSquaredError},
                                              {"l1", train::LossKind::L1},
                                              {"huber", train::LossKind::Huber},
                                              {"binary_cross_entropy", train::LossKind::BinaryCrossEntropy}};
  static const Names<train::Keep> kKeep{{"last", train::Keep::Last}, {"best", train::Keep::Best}};
  static const Names<train::Monitor> kMonitors{{"loss", train::Monitor::Loss}, {"accuracy", train::Monitor::Accuracy}};
  in.whole(
      "epochs", train.epochs, kEpochs,
      "0: no float training; QAT begins with random weights, or with those of [model] `file`, where 0 is the default");
  in.whole("batch", train.batch, {.min = 1, .max = 1 << 20}, "examples that go through the model at once");
  in.whole("accumulate", train.accumulate, {.min = 1, .max = 1 << 20}, "batches whose gradients make one step");
  in.flag("drop_last", train.drop_last, "`true`: leave out a last batch that is not full; `false`: train on it");
  in.choice("optimizer", train.optimizer, kOptimizers, "what makes steps of gradients");
  in.number("learning_rate", train.learning_rate, kPositive, "at its highest");
  in.choice("schedule", train.schedule, kSchedules, "how the learning rate goes");
  in.whole("step_epochs", train.step_epochs, kSomeEpochs, "`step`: after every so many epochs ...");
  in.number("step_factor", train.step_factor, kPositive, "... the rate is multiplied by this; `plateau`: likewise");
  in.whole("plateau_patience", train.plateau_patience, kAtLeastZero,
           "`plateau`: so many epochs in which the monitored number does not get better are borne; the next lowers the "
           "rate");
  in.number("final_learning_rate", train.final_learning_rate, kAtLeastZero, "`cosine`: where it ends");
  in.number("warmup_share", train.warmup_share, kShareBetween, "`one_cycle`: share of the steps that go up");
  in.whole("warmup_steps", train.warmup_steps, kAtLeastZero, "linear warm-up in front of any schedule");
  in.number("momentum", train.momentum, kShareBelowOne, "`sgd`");
  in.flag("nesterov", train.nesterov, "`sgd` with momentum");
  in.number("weight_decay", train.weight_decay, kAtLeastZero, "of weights; never of biases and norms");
  in.number("clip_norm", train.clip_norm, kAtLeastZero, "largest norm of all gradients together; 0: not clipped");
  in.choice("loss", train.loss, kLosses, "what is minimized ([losses](#losses))");
  in.number("huber_delta", train.huber_delta, kPositive, "`huber`: the distance up to which it is squared");
  in.form("class_weights", train.class_weights, read_class_weights, "none",
          "`cross_entropy`, `binary_cross_entropy`: `\"balanced\"`, or one number above 0 a class or flag");
  in.number("label_smoothing", train.label_smoothing, kShareBelowOne, "`cross_entropy`");
  in.choice("keep", train.keep, kKeep, "which epoch's model a phase ends with ([validation](#validation))");
  in.whole("patience", train.patience, kAtLeastZero,
           "a phase ends after so many epochs without a new best one; 0: it goes through all");
  in.choice("monitor", train.monitor, kMonitors, "the number of the validation part that says which epoch is best");
  in.choice("precision", train.precision, precision_names(),
            "of float products ([mixed precision](mixed-precision.md))");
}

template <typename Section>
void describe(Section& in, train::QuantizeSettings& quantize) {
  in.choice("method", quantize.method, quant::method_names(),
            "`\"static\"`: post-training, with ranges from a calibration set; `\"dynamic\"`, `\"weight-only\"`, "
            "`\"bf16\"`: without examples ([dynamic and weight-only](#dynamic-and-weight-only))");
  in.form(
      "weights", quantize.weights, read_weights, "`\"int8 per-channel symmetric\"`",
      "`int1` (or `binary`) to `int8`, `ternary`; `per-channel`, `per-tensor` or `per-group n`; a range rule; in QAT "
      "a gradient rule");
  in.form(
      "activations", quantize, read_activations, "`\"uint8 per-tensor affine\"`",
      "`uint1` to `uint8`; a range rule; in QAT a gradient rule; with `dynamic` `per-token`; with `weight-only` `fp32` "
      "(so without it) or `bf16`");
  in.choices("improve", quantize.improve, quant::improvement_names(),
             "`\"static\"`: what makes the main model lose less ([improvements](#improvements))");
  in.texts("keep_float", quantize.keep_float, "names or patterns (`*`) of modules that stay in float");
  in.form("layers", quantize.layers, read_layer_settings, "`{}`",
          "for names or patterns of modules, weights as above, `\"float\"`, or `{weights, activations}`: "
          "`\"fc*\" = \"int4\"`");
  in.whole(
      "calibration", quantize.calibration, kAtLeastOne,
      "training examples from which static quantization takes its ranges; on as many, and at least 512, ranges are "
      "measured");
  in.texts("compare_static", quantize.compare_static,
           "weights of static int8 models that are made beside the main one, for the table");
}

template <typename Section>
void describe(Section& in, train::QatSettings& qat) {
  static const Names<DType> kBackward{{"bf16", DType::BF16}, {"fp32", DType::F32}};
  static const Names<quant::RangeUse> kRanges{{"previous", quant::RangeUse::Previous},
                                              {"current", quant::RangeUse::Current}};
  in.whole("epochs", qat.epochs, kSomeEpochs, "of quantization-aware training");
  in.number("learning_rate", qat.learning_rate, kPositive, "at its highest");
  in.whole("start", qat.start, {.min = 0, .max = 1e6},
           "of `epochs`, how many are trained in float before quantizers act ([schedules](#schedules))");
  in.flag("calibrate_first", qat.calibrate_first,
          "ranges begin with those of a calibration on the model in float, not with those of the first batch");
  in.form("freeze_observers_at", qat.freeze_observers_at, read_freeze_observers_at, "`0.8`",
          "when ranges stand still: a share of the QAT steps, `\"2 epochs\"` or `\"600 steps\"`; a calibration pass "
          "first widens those that clip much ([numerics](numerics.md))");
  in.form("freeze_batch_norm_at", qat.freeze_batch_norm_at, read_freeze_batch_norm_at, "`0.5`",
          "likewise, for batch-norm statistics");
  in.number(
      "distill", qat.distill, kShare,
      "share of the loss that is distance from the float model's outputs ([distillation](#distillation)); 0: none");
  in.number("temperature", qat.temperature, kPositive, "`distill`: what both models' logits are divided by");
  in.whole("reestimate_batch_norm", qat.reestimate_batch_norm, {.min = 0, .max = 1e6},
           "batches of training examples from which batch-norm statistics are taken anew after QAT "
           "([re-estimation](#re-estimation)); 0: they are not");
  in.choice("backward", qat.backward, kBackward, "of the products of the backward pass");
  in.choice("range", qat.range, kRanges,
            "which range quantizes a batch: as it stood before it, or with the batch in it");
}

template <typename Section>
void describe(Section& in, train::ConvertSettings& convert) {
  in.flag("strict", convert.strict,
          "fail, before training, if a module that has no int8 form stays in float although `keep_float` does not name "
          "it");
}

template <typename Section>
void describe(Section& in, evaluation::CheckSettings& check) {
  in.number("fp32_accuracy", check.fp32_accuracy, kShare, "on the test set, at least");
  in.number("int8_accuracy", check.int8_accuracy, kShare, "on the test set, at least");
  in.number("min_r2", check.min_r2, {.max = 1}, "of values: R2 on the test set, of float and of int8, at least");
  in.number("max_drop", check.max_drop, kShare, "fp32 accuracy minus int8 accuracy, of values R2 minus R2, at most");
  in.number("static_max_drop", check.static_max_drop, kShare, "the same, for each of `compare_static`");
  in.whole("codes_mismatched", check.codes_mismatched, kAtLeastZero,
           "codes that differ between the fake-quantized and the int8 model, at most");
  in.number("max_slice_drop", check.max_slice_drop, kShare,
            "fp32 accuracy minus int8 accuracy, at most, in every slice of 20 examples or more "
            "([evidence](evidence.md#slices))");
  in.number("min_slice_accuracy", check.min_slice_accuracy, kShare, "of int8 in every such slice, at least");
  in.number("max_flips", check.max_flips, kShare,
            "share of the test examples for which fp32 and int8 say different classes, at most");
  in.number("max_calibration_error", check.max_calibration_error, kShare,
            "of int8 ([evidence](evidence.md#calibration)), at most");
}

}  // namespace detent::recipes
