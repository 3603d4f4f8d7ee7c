#include "detent/recipes/reference.h"
#include "tests/places.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "detent/nn/init.h"
#include "detent/quant/quantizers/gradients/gradient_rule.h"
#include "detent/quant/quantizers/map_rule.h"
#include "detent/quant/quantizers/ranges/range_rule.h"
#include "detent/recipes/model_builder.h"

namespace detent::recipes::reference_test {
namespace {

using testing::HasSubstr;

std::string the_documentation() {
  std::ifstream file(source_path("docs/recipes.md"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(RecipesReference, IsWhatTheDocumentationSays) {
  const std::string documentation = the_documentation();
  std::size_t after = 0;
  for (const auto& [section, table] : sections_reference()) {
    const std::size_t heading = documentation.find("## [" + section + "]", after);
    ASSERT_NE(heading, std::string::npos) << "docs/recipes.md has no section [" << section << "] here";
    const std::size_t end = documentation.find("\n## ", heading);
    EXPECT_THAT(documentation.substr(heading, end - heading), HasSubstr(table));
    after = heading;
  }
}

// What has a name beside the keys: operations, rules, ways to begin.
TEST(RecipesReference, TheDocumentationKnowsEveryWord) {
  const std::string documentation = the_documentation();
  std::vector<std::string> words;
  for (const auto& [operation, layer] : standard_layers()) {
    words.push_back(operation);
  }
  for (const std::vector<std::string>& names :
       {quant::range_rule_names(), quant::gradient_rule_names(), quant::map_rule_names()}) {
    words.insert(words.end(), names.begin(), names.end());
  }
  for (const auto& [word, init] : nn::init_names()) {
    words.emplace_back("\"").append(word).append("\"");
  }
  for (const std::string& word : words) {
    const auto stands = [&](const char* end) {
      std::string text = "`";
      return documentation.find(text.append(word).append(end)) != std::string::npos;
    };
    EXPECT_TRUE(stands("`") || stands(" ")) << "docs/recipes.md does not say what " << word << " is";
  }
}

TEST(RecipesReference, ListsTheKeysOfTheTables) {
  std::string tables;
  for (const auto& [section, table] : sections_reference()) {
    tables += table;
  }
  const std::vector<Key> keys = section_keys();
  EXPECT_EQ(static_cast<std::size_t>(std::count(tables.begin(), tables.end(), '\n')),
            keys.size() + 2 * sections_reference().size());
  for (const Key& key : keys) {
    std::string row = "| `";
    EXPECT_THAT(tables, HasSubstr(row.append(key.name, key.name.find('.') + 1).append("` |")));
    EXPECT_THAT(tables, HasSubstr(key.meaning + " |"));
  }
  const auto optimizer = std::ranges::find(keys, "train.optimizer", &Key::name);
  ASSERT_NE(optimizer, keys.end());
  EXPECT_EQ(optimizer->words, (std::vector<std::string>{"sgd", "adam", "adamw"}));
}

}  // namespace
}  // namespace detent::recipes::reference_test
