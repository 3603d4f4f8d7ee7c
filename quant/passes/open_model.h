#pragma once

#include <variant>

#include "detent/nn/model_file.h"
#include "detent/quant/kinds/kind.h"
#include "detent/runtime/model_file.h"

namespace detent::quant {

/// What a model file of any kind holds.
struct OpenedModel {
  std::string kind = {};                                 ///< "fp32", "qat" or "int8"
  std::variant<nn::Graph, runtime::Model> content = {};  ///< a model if the kind is "int8"
  std::map<std::string, TensorFile::Attribute> attributes = {};
  std::filesystem::path file = {};  ///< where it was read from; empty: nowhere

  nn::Graph* graph() { return std::get_if<nn::Graph>(&content); }
  const nn::Graph* graph() const { return std::get_if<nn::Graph>(&content); }
  const runtime::Model* model() const { return std::get_if<runtime::Model>(&content); }
  /// Of one example.
  const Shape& input_shape() const;
  const Shape& output_shape() const;
};

/// Reads a model file of any kind. Throws Error as nn::load_model and runtime::load_model do.
OpenedModel open_model(const std::filesystem::path& path, const Kinds& kinds = standard_kinds());

}  // namespace detent::quant
