#include "detent/io/tensor_file.h"

#include <span>

#include "detent/io/atomic_file.h"

namespace detent {
namespace {

template <typename T>
const T& attribute_of(const TensorFile& file, const std::string& name, std::string_view type) {
  const auto found = file.attributes.find(name);
  check(found != file.attributes.end(), "'", file.source.string(), "': it has no attribute '", name, "'");
  const T* value = std::get_if<T>(&found->second);
  check(value != nullptr, "'", file.source.string(), "': attribute '", name, "': expected ", type);
  return *value;
}

}  // namespace

const std::string& TensorFile::text(const std::string& attribute) const {
  return attribute_of<std::string>(*this, attribute, "a text");
}

std::int64_t TensorFile::integer(const std::string& attribute) const {
  return attribute_of<std::int64_t>(*this, attribute, "an integer");
}

const Tensor& TensorFile::tensor(const std::string& name) const {
  const auto found = tensors.find(name);
  check(found != tensors.end(), "'", source.string(), "': it has no data set '", name, "'");
  return found->second;
}

void write_text_file(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

}  // namespace detent
