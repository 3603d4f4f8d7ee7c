#include "detent/train/resume/compare_models.h"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <set>

#include "detent/io/sha256.h"
#include "detent/io/tensor_file.h"
#include "detent/train/output_folder.h"
#include "detent/train/resume/earlier_run.h"

namespace detent::train {
namespace {

namespace fs = std::filesystem;

std::set<std::string> models_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (const std::string name = entry.path().filename().string(); is_model_file(name)) {
      names.insert(name);
    }
  }
  return names;
}

bool is_equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

// What of `a` is not so in `b`, or there alone: how much, and the first by name.
template <typename Map, typename Equal>
std::string difference_of(const Map& a, const Map& b, const std::string& what, Equal equal) {
  std::set<std::string> names;
  std::size_t all = a.size();
  for (const auto& [name, value] : a) {
    const auto other = b.find(name);
    if (other == b.end() || !equal(value, other->second)) {
      names.insert(name);
    }
  }
  for (const auto& [name, value] : b) {
    if (!a.contains(name)) {
      names.insert(name);
      ++all;
    }
  }
  return names.empty() ? "" : fmt::format("{} of {} {} differ, the first {}", names.size(), all, what, *names.begin());
}

std::string difference_of(const fs::path& first, const fs::path& second) {
  if (file_sha256(first) == file_sha256(second)) {
    return {};
  }
  try {
    const TensorFile a = TensorFile::read(first), b = TensorFile::read(second);
    const std::string tensors = difference_of(a.tensors, b.tensors, "tensors", is_equal);
    const std::string attributes = difference_of(a.attributes, b.attributes, "attributes", std::equal_to<>());
    const std::string all = tensors + (tensors.empty() || attributes.empty() ? "" : "; ") + attributes;
    return all.empty() ? "the same content in other bytes" : all;
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::vector<ModelComparison> compare_models(const fs::path& first, const fs::path& second) {
  const std::set<std::string> before = models_in(first), now = models_in(second);
  std::set<std::string> all = before;
  all.insert(now.begin(), now.end());
  std::vector<ModelComparison> compared;
  for (const std::string& name : all) {
    ModelComparison& file = compared.emplace_back(ModelComparison{.name = name});
    file.bytes = fs::file_size((before.contains(name) ? first : second) / name);
    file.difference = !before.contains(name) ? "is missing in the run to repeat"
                      : !now.contains(name)  ? "was not written this time"
                                             : difference_of(first / name, second / name);
  }
  return compared;
}

}  // namespace detent::train
