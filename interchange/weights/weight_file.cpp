#include "detent/interchange/weights/weight_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <system_error>

#include "detent/data/formats/numpy/array_store.h"
#include "detent/data/formats/numpy/npz_writer.h"
#include "detent/interchange/weights/safetensors.h"

namespace detent::interchange {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLayout = "layout";
constexpr const char* kSafetensors = ".safetensors";
constexpr const char* kNpz = ".npz";

class Safetensors : public WeightFile {
 public:
  explicit Safetensors(const fs::path& path) : WeightFile(path.string()), file_(path) {
    for (const SafetensorsFile::Entry& entry : file_.entries()) {
      names_.push_back(entry.name);
    }
    const auto layout = file_.metadata().find(kLayout);
    if (layout != file_.metadata().end()) {
      layout_ = layout_from_name(layout->second);
    }
  }

  Tensor read(const std::string& name) override {
    return file_.read(*std::ranges::find(file_.entries(), name, &SafetensorsFile::Entry::name));
  }

 private:
  SafetensorsFile file_;
};

/// Integers that fit T.
template <typename T>
Tensor integers(const data::NpyArray& array, const std::vector<double>& numbers) {
  std::vector<T> values;
  for (const double number : numbers) {
    check(number >= std::numeric_limits<T>::min() && number <= std::numeric_limits<T>::max(), array.where(),
          ": the number ", number, " does not fit ", dtype_of<T>);
    values.push_back(static_cast<T>(number));
  }
  return Tensor::from(values, array.shape());
}

class Arrays : public WeightFile {
 public:
  explicit Arrays(const fs::path& path) : WeightFile(path.string()), store_(path) {
    for (const std::string& name : store_.names()) {
      if (name != kLayout) {
        names_.push_back(name);
        continue;
      }
      const data::NpyArray layout = store_.read(name);
      check(layout.has_texts() && layout.shape().elements() == 1, layout.where(), ": expected one text, got ",
            layout.dtype(), ' ', layout.shape());
      layout_ = layout_from_name(layout.texts()[0]);
    }
  }

  Tensor read(const std::string& name) override {
    const data::NpyArray array = store_.read(name);
    check(!array.has_texts(), array.where(), ": expected numbers, got texts");
    if (array.is_bytes()) {
      return array.to_u8();
    }
    if (array.kind() == data::NpyArray::Kind::kReal) {
      return array.dtype().ends_with("f8") ? Tensor::from(array.numbers(), array.shape()) : array.to_f32();
    }
    return array.dtype().ends_with("i1") ? integers<std::int8_t>(array, array.numbers())
                                         : integers<std::int32_t>(array, array.numbers());
  }

 private:
  data::ArrayStore store_;
};

}  // namespace

std::unique_ptr<WeightFile> WeightFile::open(const fs::path& path) {
  std::error_code error;
  if (path.extension() == kSafetensors) {
    return std::make_unique<Safetensors>(path);
  }
  check(path.extension() == kNpz || fs::is_directory(path, error), path.string(),
        ": expected tensors in a file .safetensors or .npz, or in a folder of .npy files");
  return std::make_unique<Arrays>(path);
}

void check_weight_path(const fs::path& path) {
  check(path.extension() == kSafetensors || path.extension() == kNpz, path.string(),
        ": expected a name that ends in .safetensors or .npz; write ",
        fs::path(path).replace_extension(kSafetensors).string());
}

void write_weights(const fs::path& path, const std::map<std::string, Tensor>& tensors, Layout layout) {
  check_weight_path(path);
  if (path.extension() == kSafetensors) {
    write_safetensors(path, tensors, {{kLayout, std::string(name_of(layout))}});
    return;
  }
  data::NpzWriter file(path);
  for (const auto& [name, tensor] : tensors) {
    file.add(name, tensor);
  }
  file.add_text(kLayout, std::string(name_of(layout)));
  file.commit();
}

}  // namespace detent::interchange
