#pragma once

#include <map>
#include <string>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/data/loader.h"
#include "detent/evaluation/drift/distribution.h"
#include "detent/evaluation/progress.h"
#include "detent/io/tensor_file.h"
#include "detent/quant/passes/open_model.h"
#include "detent/runtime/model.h"

/// How a model's values are spread over some examples.
namespace detent::evaluation {

/// A place in a model whose values are looked at.
struct WatchedValue {
  std::string name = {};  ///< of an input, or of a node; "input[3]": of column 3 of an input
  runtime::ValueId value = 0;
  std::int64_t column = -1;     ///< of rows of features; -1: all values
  std::int64_t an_example = 0;  ///< how many of its values an example has
  bool are_codes = false;
};

/// Columns of an input are looked at one by one if there are at most so many.
inline constexpr std::int64_t kMostColumns = 32;

/// The input, column by column where examples are rows of few features, then what the operations give, in running
/// order. Left out are those that only hand values on: dequantizations, reshapes, and max-pools, whose values are among
/// those before them. Empty for models of several inputs, and of inputs of codes.
std::vector<WatchedValue> watched_values(const runtime::Model& model);

/// What runs a model of any kind: of a float model its operations, of one in training for int8 what it is converted to,
/// whose codes are the same.
runtime::Model runnable(const quant::OpenedModel& model, const quant::Kinds& kinds = quant::standard_kinds());

struct ModelDistributions {
  std::int64_t examples = 0;
  std::map<std::string, Distribution> codes = {}, reals = {};  ///< by WatchedValue::name; of numbers that are finite
  std::map<std::string, std::int64_t> not_finite = {};         ///< how many numbers of a place, where there are some

  bool operator==(const ModelDistributions&) const = default;
};

/// Runs `model` on all of `dataset`. With `reference` over its bounds, and only where it has some. The result does not
/// depend on threads; codes are counted exactly.
ModelDistributions distributions_of(const runtime::Model& model, const data::Dataset& dataset,
                                    const data::Normalization& normalization, Reporter& reporter,
                                    const ModelDistributions* reference = nullptr);

/// So many training examples make a model's own distributions.
inline constexpr std::int64_t kReferenceExamples = 1024;
/// The first kReferenceExamples examples of a training order of `seed` that no calibration sees.
data::Dataset reference_sample(const data::Dataset& train, std::uint64_t seed);

/// A model file's attribute `distributions`: JSON {"version": 1, "examples": 1024, "codes": {NAME: TEXT}, "reals":
/// {NAME: TEXT}}, where TEXT is base64 of, in little-endian order,
///
///   k                 u8, at most 11
///   bounds            k values: u8 of codes, f32 of reals
///   shares            k + 1 values u16, of 65535; what is not empty has 1 at least
///   saturated         u16, of 65535; of codes alone
///   mean, deviation   f32, f32
inline constexpr const char* kDistributionsAttribute = "distributions";
std::string to_attribute(const ModelDistributions& distributions);
/// The inverse. Throws Error for another version, and for what is damaged.
ModelDistributions from_attribute(const TensorFile::Attribute& attribute);

}  // namespace detent::evaluation
