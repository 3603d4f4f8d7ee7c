#include "detent/quant/passes/open_model.h"

#include "detent/core/error.h"
#include "detent/core/text/nearest_path.h"
#include "detent/quant/passes/module_op.h"

namespace detent::quant {

const Shape& OpenedModel::input_shape() const {
  return model() != nullptr ? model()->inputs.at(0).type.shape : graph()->input_shape();
}

const Shape& OpenedModel::output_shape() const {
  return model() != nullptr ? model()->type(model()->output).shape : graph()->output_shape();
}

namespace {

// A folder is most often that of a run.
void check_is_file(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const char* const name : {"int8.h5", "fp32.h5"}) {
    check(!fs::exists(path / name, error), "read '", path.string(), "': it is a folder; name a model in it, such as ",
          (path / name).string());
  }
  if (!fs::exists(path, error)) {
    fail("read '", path.string(), "': there is no such file", did_you_mean_path(path));
  }
}

}  // namespace

OpenedModel open_model(const std::filesystem::path& path, const Kinds& kinds) {
  check_is_file(path);
  TensorFile file = TensorFile::read(path);
  const auto kind = file.attributes.find("kind");
  const std::string* const name = kind == file.attributes.end() ? nullptr : std::get_if<std::string>(&kind->second);
  if (name != nullptr && *name == "int8") {
    runtime::ModelFile read = runtime::from_file(std::move(file), custom_ops_of(kinds));
    return {.kind = "int8", .content = std::move(read.model), .attributes = std::move(read.attributes), .file = path};
  }
  nn::Model read = nn::from_file(std::move(file), factories_of(kinds));
  return {.kind = read.kind, .content = std::move(read.graph), .attributes = std::move(read.attributes), .file = path};
}

}  // namespace detent::quant
