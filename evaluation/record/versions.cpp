#include "detent/evaluation/record/versions.h"

#include <fmt/format.h>

#include "detent/data/formats/library_versions.h"
#include "detent/io/library_versions.h"
#include "detent/kernels/product/onednn/library_versions.h"

namespace detent::evaluation {

std::string program_version() { return DETENT_VERSION; }

std::string compiler_version() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

LibraryVersions library_versions() {
  LibraryVersions all{
      {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)}};
  all.merge(detent::library_versions());
  all.merge(io::library_versions());
  all.merge(kernels::library_versions());
  all.merge(data::library_versions());
  return all;
}

}  // namespace detent::evaluation
