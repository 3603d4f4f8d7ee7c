#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detent/io/sha256.h"
#include "detent/nn/graph.h"
#include "detent/runtime/plan.h"

namespace detent::evaluation {

/// The first difference found in a layer.
struct Mismatch {
  std::string layer = {};
  std::int64_t image = 0;  ///< number of the image in the order in which they were fed
  std::int64_t index = 0;  ///< element of that image's values
  double expected = 0.0;   ///< the fake-quantized model's code, or its number where the layer stayed in float
  double actual = 0.0;     ///< the int8 model's
};

struct LayerComparison {
  std::string name = {};
  std::int64_t codes_compared = 0;
  std::int64_t codes_mismatched = 0;
};

struct VerifyReport {
  std::vector<LayerComparison> layers;  ///< in running order
  std::vector<Mismatch> first;          ///< one for each layer that differs
  std::int64_t images = 0;
  std::int64_t codes_compared = 0;
  std::int64_t codes_mismatched = 0;
  std::int64_t predictions_changed = 0;  ///< images whose largest output differs between the two models
  std::string codes_sha256;              ///< of the int8 model's codes; see Verifier
  bool passed() const { return codes_mismatched == 0 && predictions_changed == 0; }
};

/// Feeds the same images through a frozen prepared model and through the plan of its converted one, and compares the
/// codes of every layer. Layers that stayed in float are compared bit by bit.
///
/// codes_sha256: a SHA-256 for each layer of codes over its codes, image by image in the order fed; then one over the
/// lines "<layer> <hex digest>\n" in running order. It depends on the model and the images alone, not on batch size,
/// threads or processor.
class Verifier {
 public:
  /// Throws Error unless `int8` has the layers of `prepared` (apart from those that convert drops).
  Verifier(nn::Graph prepared, runtime::Model int8);
  /// images [N, ...] f32, as the model was trained on them.
  void feed(const Tensor& images) { feed(std::span(&images, 1)); }
  /// The same of models with several inputs, each [N, ...].
  void feed(std::span<const Tensor> inputs);
  VerifyReport report() const;

  /// For tests: the plan that runs batches of `batch` images.
  runtime::Plan& plan_for(std::int64_t batch);

 private:
  nn::Graph prepared_;
  runtime::Model int8_;
  std::optional<runtime::Plan> plan_;
  Arena arena_;
  VerifyReport report_;
  std::vector<std::optional<std::size_t>> layer_of_;  // by node of prepared_
  std::vector<Sha256> digests_;
};

/// One line a difference: "conv2: image 17, element 4711: expected 12, got 13 (3 of 368640000 codes differ)". Numbers
/// of layers in float have as many digits as it takes to tell them apart.
std::string to_text(const VerifyReport& report);

}  // namespace detent::evaluation
