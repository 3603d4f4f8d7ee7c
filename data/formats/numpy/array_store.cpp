#include "detent/data/formats/numpy/array_store.h"

#include <algorithm>
#include <system_error>

#include "detent/core/error.h"
#include "detent/data/files.h"
#include "detent/data/formats/limits.h"

namespace detent::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".npy";

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char a) { return a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a; });
  return text;
}

}  // namespace

ArrayStore::ArrayStore(const fs::path& path) : path_(path.string()) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    archive_ = std::make_unique<ZipArchive>(path);
    for (const ZipArchive::Entry& entry : archive_->entries()) {
      if (entry.name.ends_with(kEnding)) {
        names_.push_back(entry.name.substr(0, entry.name.size() - kEnding.size()));
      }
    }
    return;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (entry.path().extension() == kEnding) {
      names_.push_back(entry.path().stem().string());
    }
  }
  check(!error, path_, ": cannot be read: ", error.message());
  std::ranges::sort(names_);
}

std::optional<std::string> ArrayStore::find(const std::string& name) const {
  const auto exact = std::ranges::find(names_, name);
  const auto found = exact != names_.end() ? exact : std::ranges::find(names_, lower(name), lower);
  return found == names_.end() ? std::nullopt : std::optional(*found);
}

NpyArray ArrayStore::read(const std::string& name) {
  if (archive_ == nullptr) {
    return read_npy(fs::path(path_) / (name + std::string(kEnding)));
  }
  const auto entry = std::ranges::find(archive_->entries(), name + std::string(kEnding), &ZipArchive::Entry::name);
  check(entry != archive_->entries().end(), path_, ": has no array \"", name, '"');
  return NpyArray::parse(path_ + ": \"" + name + '"', archive_->read(*entry));
}

NpyArray read_npy(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  check(!error, path.string(), ": cannot be read: ", error.message());
  return NpyArray::parse(path.string(), ByteReader(path).read_up_to(checked_bytes(path.string(), bytes, 1)));
}

}  // namespace detent::data
