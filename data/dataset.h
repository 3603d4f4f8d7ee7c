#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/tensor.h"

namespace detent::data {

/// What a model is to give for an example: one class of several, K real numbers, or K times yes or no.
enum class TargetKind { kClasses, kValues, kFlags };

/// "classes", "values" or "flags".
std::string_view name_of(TargetKind kind);

/// What is known of every example beside what a model sees of it: slices of an evaluation are cut by it.
struct Column {
  std::string name;
  std::vector<double> numbers = {};     ///< one an example, NaN where it is missing, or none
  std::vector<std::string> texts = {};  ///< one an example where there are no numbers
  bool is_text() const { return numbers.empty(); }
};

/// Examples and their targets. Images are bytes; whatever else there is, such as rows of features, real numbers.
struct Dataset {
  std::string name;  ///< "mnist test": for messages and reports
  Tensor examples;   ///< u8, of which p means p / 255: images are [N, H, W, C], 0 is background; or f32. [N, ...]
  Tensor labels;     ///< of classes s32 [N], in [0, classes); else f32 [N, K], and of flags 0 or 1
  std::int64_t classes = 0;  ///< how many numbers a model gives for an example: the classes, or K
  TargetKind targets = TargetKind::kClasses;
  std::vector<std::string> class_names = {};  ///< of the classes, or of the K targets; none: "0", "1", ...
  std::vector<Column> columns = {};
  std::vector<std::string> feature_names = {};  ///< of rows of features [N, F], one a feature, where they have names
  std::vector<std::string> sources = {};        ///< where each example came from (a file, a line), where that is known

  std::int64_t size() const;
  /// Of one example: [H, W, C], [F], ... of 1 to 4 axes.
  Shape example_shape() const;
  /// What class or target `number` is called. REQUIRES: in [0, classes).
  std::string class_name(std::int64_t number) const;

  /// Throws Error, with `where` (a file or folder) in its text, unless types and ranks are as above, there are as many
  /// labels as examples and at least one, every label lies in [0, classes), real numbers are finite, flags are 0 or 1,
  /// class names are none or one a class, all different, every column has a name and one value an example, and of
  /// feature names and sources there are none or as many as features and examples.
  void validate(const std::string& where) const;
  /// Throws Error unless the targets are classes. `purpose` begins its text and is what asks for them.
  void require_classes(std::string_view purpose) const;

  /// Whether the examples are images of bytes, [N, H, W, C].
  bool has_images() const;

  /// The first `count` examples, or all if there are fewer; tensors share the memory. Throws Error if count < 1.
  Dataset take(std::int64_t count) const;
  /// The examples at `indices`, in that order, copied. Throws Error for an index out of range.
  Dataset subset(std::span<const std::int64_t> indices) const;
};

/// How many examples each of the first `classes` classes has, or each of the data set's own if these are more; of
/// flags, for how many examples each is set. Throws Error for values, which have no counts.
std::vector<std::int64_t> class_counts(const Dataset& dataset, std::int64_t classes);

/// What a run trains and tests on.
struct DataSource {
  std::string name = {};  ///< "mnist", "digits", or what the data call themselves; never empty once they are opened
  Dataset train;
  Dataset test;
  std::string description;  ///< one line for people: what it is and where it came from
  bool is_builtin = false;  ///< whether the program drew it itself

  /// Gives the data their name, their parts "NAME train" and "NAME test", and the description, which says that they
  /// came from `from`. These texts go into JSON, HDF5 and the screen: what is not UTF-8 in them is replaced here.
  void describe(const std::string& called, const std::filesystem::path& from);
  /// Throws Error, with `where` in its text, unless both parts are valid, fit each other, and have the same targets,
  /// class names included.
  void validate(const std::string& where) const;
};

/// What the folder or file at `path` is called: its last part, without the ending of a file. "." and ".." are resolved
/// and a last '/' does not count; "data" for the root.
std::string name_of_path(const std::filesystem::path& path);

}  // namespace detent::data
