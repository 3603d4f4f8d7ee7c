#include "detent/recipes/library_versions.h"

#include <fmt/format.h>
#include <toml++/toml.h>

namespace detent::recipes {

LibraryVersions library_versions() {
  return {{"toml++", fmt::format("{}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH)}};
}

}  // namespace detent::recipes
