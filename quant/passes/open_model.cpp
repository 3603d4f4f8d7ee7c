#include "detent/quant/passes/open_model.h"

#include "detent/quant/passes/module_op.h"

namespace detent::quant {

const Shape& OpenedModel::input_shape() const {
  return model() != nullptr ? model()->inputs.at(0).type.shape : graph()->input_shape();
}

const Shape& OpenedModel::output_shape() const {
  return model() != nullptr ? model()->type(model()->output).shape : graph()->output_shape();
}

OpenedModel open_model(const std::filesystem::path& path, const Kinds& kinds) {
  TensorFile file = TensorFile::read(path);
  const auto kind = file.attributes.find("kind");
  const std::string* const name = kind == file.attributes.end() ? nullptr : std::get_if<std::string>(&kind->second);
  if (name != nullptr && *name == "int8") {
    runtime::ModelFile read = runtime::from_file(std::move(file), custom_ops_of(kinds));
    return {.kind = "int8", .content = std::move(read.model), .attributes = std::move(read.attributes)};
  }
  nn::Model read = nn::from_file(std::move(file), factories_of(kinds));
  return {.kind = read.kind, .content = std::move(read.graph), .attributes = std::move(read.attributes)};
}

}  // namespace detent::quant
