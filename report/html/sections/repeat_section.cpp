#include <fmt/format.h>

#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

// A word as a shell takes it.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
    return word;
  }
  std::string result = "'";
  for (const char letter : word) {
    result += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  }
  return result + "'";
}

std::string command_of(const Json& metrics) {
  if (const auto command = text(metrics, "record.command")) {
    return *command;
  }
  const auto recipe = text(metrics, "recipe");
  if (!recipe) {
    return "";
  }
  std::string command = "detent run " + quoted(*recipe);
  if (const auto seed = text(metrics, "seed")) {
    command += " --seed " + quoted(*seed);
  }
  for (const std::string& change : texts(metrics, "record.overrides")) {
    command += " --set " + quoted(change);
  }
  return command;
}

// A member of `record` as a line of text: objects as "name value, ...".
std::string line_of(const Json& json) {
  if (!json.is_object()) {
    return text(json, "").value_or("");
  }
  std::string line;
  for (const auto& [name, value] : json.items()) {
    line += (line.empty() ? "" : ", ") + name + " " + line_of(value);
  }
  return line;
}

std::string record_table(const Json& metrics) {
  Table table("What the run ran on", {"", "|"});
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) {
      table.add({escaped(name), escaped(value)});
    }
  };
  add("data", text(metrics, "dataset_description").value_or(""));
  add("checksum of the data", line_of(member(metrics, "record.data_sha256")));
  add("versions", line_of(member(metrics, "record.versions")));
  add("processor", line_of(member(metrics, "record.processor")));
  add("threads", text(metrics, "threads").value_or(""));
  add("seed", text(metrics, "seed").value_or(""));
  return table.empty() ? "" : table.html();
}

}  // namespace

std::string repeat_section(const Json& metrics) {
  const std::string command = command_of(metrics);
  std::string content = command.empty() ? "" : "<pre tabindex=\"0\"><code>" + escaped(command) + "</code></pre>\n";
  if (const auto recipe = text(metrics, "record.recipe_text"); recipe && !recipe->empty()) {
    content += "<details open><summary>The recipe</summary>\n<pre tabindex=\"0\"><code>" + escaped(*recipe) +
               "</code></pre></details>\n";
  }
  return section("repeat", "Run it again", "The same recipe, data and seed give the same bytes.",
                 content + record_table(metrics));
}

}  // namespace detent::report::html
