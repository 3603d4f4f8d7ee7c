#include "detent/recipes/overrides.h"

#include <fmt/format.h>

#include "detent/core/error.h"
#include "detent/core/utf8.h"
#include "detent/recipes/recipe.h"
#include "detent/recipes/toml_text.h"

namespace detent::recipes {
namespace {

// {"v": value}, whose nodes say "--set section.key=value" where they are asked for their source.
toml::table parse_value(const std::string& value, const std::string& override_text) {
  const std::string source = "--set " + override_text;
  try {
    return parse_toml("v = " + value, source);
  } catch (const Error&) {
    std::string quoted = "v = '";
    for (const char letter : value) {
      check(letter != '\'' && letter != '\n', source, ": the value is neither TOML nor a plain word");
      quoted += letter;
    }
    return toml::parse(quoted + "'", source);
  }
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\u{:04x}", byte);
    } else {
      result += letter == '"' || letter == '\\' ? "\\" : "";
      result += letter;
    }
  }
  return result + "\"";
}

void apply_overrides(toml::table& root, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    check(find_invalid_utf8(text) == std::string::npos, "--set ", valid_utf8(text), ": expected UTF-8");
    const std::size_t equals = text.find('=');
    const std::string path = text.substr(0, equals);
    check(equals != std::string::npos && path.find('.') != std::string::npos && path.find("..") == std::string::npos &&
              path.front() != '.' && path.back() != '.',
          "--set ", text, ": expected section.key=value; write for example --set train.epochs=2");
    check(!line_of_long_key(path), "--set ", text, ": the key has too many parts");
    toml::table* table = &root;
    std::size_t begin = 0;
    for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', begin)) {
      const std::string key = path.substr(begin, dot - begin);
      if (toml::node* node = table->get(key); node == nullptr || !node->is_table()) {
        // A table of the override's own, so that messages about it name the override.
        toml::table fresh = toml::parse("v = {}", "--set " + text);
        table->insert_or_assign(key, std::move(*fresh["v"].as_table()));
      }
      table = table->get(key)->as_table();
      begin = dot + 1;
    }
    toml::table parsed = parse_value(text.substr(equals + 1), text);
    parsed.get("v")->visit([&](auto& node) { table->insert_or_assign(path.substr(begin), std::move(node)); });
  }
}

}  // namespace detent::recipes
