#include "detent/io/tensor_file.h"

#include <span>
#include <system_error>

#include "detent/io/atomic_file.h"
#include "detent/io/foreign_tensor_file.h"
#include "detent/io/tensor_file/apart.h"
#include "detent/io/tensor_file/reader.h"

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

/// Not even files of the newest form are safe: checksums are no hindrance to those who mean ill.
TensorFile read_bounded(const hdf5::ReadRequest& request) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(request.path, error);
  const hdf5::Limits limits = hdf5::Limits::of_file(error ? 0 : bytes);
  return hdf5::read_apart(request.path, limits, [&] { return hdf5::read_here(request); });
}

}  // namespace

TensorFile TensorFile::read(const std::filesystem::path& path, const std::vector<std::string>& only,
                            const std::vector<std::string>& may_be_texts) {
  return read_bounded({.path = path, .only = only, .may_be_texts = may_be_texts, .is_own = true});
}

TensorFile read_foreign_file(const std::filesystem::path& path, const std::vector<std::string>& only,
                             const std::vector<std::string>& may_be_texts) {
  return read_bounded({.path = path, .only = only, .may_be_texts = may_be_texts});
}

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
