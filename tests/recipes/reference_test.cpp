#include "detent/recipes/reference.h"
#include "tests/places.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

namespace detent::recipes {
namespace {

using testing::HasSubstr;

TEST(RecipesReference, IsWhatTheDocumentationSays) {
  std::ifstream file(source_path("docs/recipes.md"));
  std::stringstream text;
  text << file.rdbuf();
  const std::string documentation = text.str();
  std::size_t after = 0;
  for (const auto& [section, table] : sections_reference()) {
    const std::size_t heading = documentation.find("## [" + section + "]", after);
    ASSERT_NE(heading, std::string::npos) << "docs/recipes.md has no section [" << section << "] here";
    const std::size_t end = documentation.find("\n## ", heading);
    EXPECT_THAT(documentation.substr(heading, end - heading), HasSubstr(table));
    after = heading;
  }
}

}  // namespace
}  // namespace detent::recipes
