#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "detent/quant/passes/open_model.h"

namespace detent::evaluation {

/// Runs a model of any kind and shows the values of its layers. For one thread at a time.
class Tapped {
 public:
  virtual ~Tapped() = default;
  /// The layers' names, in running order, and the shape of one example's values.
  virtual std::vector<std::pair<std::string, Shape>> layers() const = 0;
  /// The values of all layers, in that order, and the result; codes carry their map. They hold until the next call.
  virtual std::vector<Tensor> run(const Tensor& examples) = 0;
};

/// What the layers of a float model are: its modules, or what they become in an int8 model, where batch norms are
/// folded and ReLUs done by the layer before them, so that values of one name mean the same in both.
enum class FloatLayers : std::uint8_t { Modules, AsInInt8 };

/// Models in training for int8 run their own forward pass, int8 models the plan of what ships. Throws Error for one in
/// training that is not frozen.
std::unique_ptr<Tapped> tap(const quant::OpenedModel& model, FloatLayers layers);

}  // namespace detent::evaluation
