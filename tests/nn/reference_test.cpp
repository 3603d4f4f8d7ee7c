#include "detent/nn/reference.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "detent/nn/graph.h"
#include "tests/places.h"

namespace detent::nn::reference_test {
namespace {

using testing::HasSubstr;

TEST(ModulesReference, IsWhatTheDocumentationSays) {
  std::ifstream file(source_path("docs/modules.md"));
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_THAT(text.str(), HasSubstr(modules_reference()));
}

TEST(ModulesReference, HasEveryKind) {
  for (const auto& [kind, factory] : module_kinds()) {
    std::string heading = "## ";
    heading.append(kind).append("\n");
    EXPECT_THAT(modules_reference(), HasSubstr(heading));
  }
}

}  // namespace
}  // namespace detent::nn::reference_test
