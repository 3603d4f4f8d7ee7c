#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "detent/runtime/model_file.h"
#include "detent/runtime/plan.h"

namespace detent::runtime {

/// What the outputs of a model are: one class of several, K real numbers, or K times yes or no.
enum class OutputKind : std::uint8_t { Classes, Values, Flags };

/// A class, or another output of a model, and what the model says of it.
struct Prediction {
  std::int64_t number = 0;  ///< of the output
  std::string name = {};    ///< of the class or target, if the model's file has names; else the number
  float value = 0.0F;       ///< the output
  /// Of a class softmax(outputs), or the output itself where the model ends in a softmax; of a flag that it is yes,
  /// 1 / (1 + exp(-output)); of a real number NaN.
  float probability = 0.0F;
};

/// Whether a model ends in a softmax, so that what it gives are probabilities.
bool ends_in_softmax(const Model& model);

/// A model with all that its file says of how examples are made ready for it, for programs that ask it for classes:
///
///   runtime::Predictor predictor("int8.h5");
///   const runtime::Prediction best = predictor.predict(image)[0][0];
///   std::printf("%s, %.1f %%\n", best.name.c_str(), 100.0 * best.probability);
///
/// Examples become what they were in training: x = (p / 255 - mean) / std of bytes, x = (value - mean) / std of real
/// numbers, every operation rounded to f32. mean and std come from the file's attributes, as do the names and the kind
/// of its outputs (those that are missing: 0 and 1, numbers, classes):
///
///   normalization_mean, normalization_std   reals
///   normalization_columns                   {"means": [...], "stds": [...]}: one each for every index of the last axis
///   class_names                             ["cat", "dog"]
///   targets                                 "values" or "flags"
///
/// An example's result does not depend on the others. For one thread at a time, as a Plan.
class Predictor {
 public:
  /// An int8 model's file. Throws Error as load_model.
  explicit Predictor(const std::filesystem::path& file);
  /// Throws Error for a model of several inputs or of inputs that are codes, and for attributes that do not fit it.
  explicit Predictor(ModelFile file);

  const Model& model() const { return file_.model; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  OutputKind output_kind() const { return output_kind_; }

  /// The model's outputs, f32 [N, K], of examples u8 or f32 [N, ...input shape], or of one [...input shape]. Throws
  /// Error for others.
  Tensor outputs(const Tensor& examples);
  /// Of each example the `top` likeliest classes, 0: all, the likeliest first; of equal ones the one of the lowest
  /// number. Of values and flags all outputs, in their order.
  std::vector<std::vector<Prediction>> predict(const Tensor& examples, std::size_t top = 0);

 private:
  Tensor normalized(const Tensor& examples) const;
  std::vector<Prediction> ranked(std::span<const float> outputs, std::size_t top) const;
  Prediction prediction(std::size_t number, float value, float probability) const;

  ModelFile file_;
  std::vector<float> means_ = {}, stds_ = {};  // one of all, or one for every index of the last axis
  OutputKind output_kind_ = OutputKind::Classes;
  std::vector<std::string> class_names_ = {};
  std::optional<Plan> plan_ = {};
};

}  // namespace detent::runtime
