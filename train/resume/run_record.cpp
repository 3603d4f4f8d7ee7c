#include "detent/train/resume/run_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "detent/core/processor/units.h"
#include "detent/evaluation/record/versions.h"
#include "detent/io/sha256.h"

namespace detent::train {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string quoted(const std::string& line) {
  constexpr std::size_t kLongest = 60;
  return line.size() <= kLongest ? "\"" + line + "\"" : "\"" + line.substr(0, kLongest) + "...\"";
}

// The first line that is not the same.
std::string line_that_differs(const std::string& before, const std::string& now) {
  const std::vector<std::string> old_lines = lines_of(before), new_lines = lines_of(now);
  for (std::size_t i = 0; i < std::max(old_lines.size(), new_lines.size()); ++i) {
    const std::string old_line = i < old_lines.size() ? quoted(old_lines[i]) : "not there";
    const std::string new_line = i < new_lines.size() ? quoted(new_lines[i]) : "not there";
    if (old_line != new_line || (i < old_lines.size() && i < new_lines.size() && old_lines[i] != new_lines[i])) {
      return fmt::format("line {} of the recipe {}, not {}", i + 1, old_line, new_line);
    }
  }
  return "the recipe's line ends";
}

std::string text_of(const std::vector<std::string>& overrides) {
  std::string text;
  for (const std::string& override : overrides) {
    text += (text.empty() ? "--set " : " --set ") + override;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string sha256_of(const RunData& data) {
  Sha256 sha;
  const auto update = [&](const data::Dataset& part) {
    sha.update(std::span(part.examples.raw(), part.examples.bytes()));
    sha.update(std::span(part.labels.raw(), part.labels.bytes()));
  };
  update(data.train);
  if (data.validation) {
    update(*data.validation);
  }
  update(data.test);
  return sha.hex();
}

evaluation::RunRecord completed(evaluation::RunRecord record, const RunData& data, const std::string& expected) {
  record.versions = evaluation::library_versions();
  record.versions["detent"] = evaluation::program_version();
  record.versions["compiler"] = evaluation::compiler_version();
  record.processor = class_of(processor_units());
  record.data_path = data.path;
  record.data_sha256 = sha256_of(data);
  check(expected.empty() || expected == record.data_sha256, data.description,
        ": these are not the data of the run: their SHA-256 is ", record.data_sha256, ", expected ", expected,
        "; name the right ones with --data");
  return record;
}

std::vector<std::string> differences(const RunIdentity& before, const RunIdentity& now) {
  std::vector<std::string> found;
  if (before.recipe != now.recipe) {
    found.push_back(fmt::format("recipe {}, not {}", before.recipe, now.recipe));
  }
  if (before.record.recipe_text != now.record.recipe_text) {
    found.push_back(line_that_differs(before.record.recipe_text, now.record.recipe_text));
  }
  if (before.record.overrides != now.record.overrides) {
    found.push_back(
        fmt::format("overrides {}, not {}", text_of(before.record.overrides), text_of(now.record.overrides)));
  }
  if (before.seed != now.seed) {
    found.push_back(fmt::format("seed {}, not {}", before.seed, now.seed));
  }
  if (before.record.data_sha256 != now.record.data_sha256) {
    found.push_back(fmt::format("other data (SHA-256 {}..., not {}...)", before.record.data_sha256.substr(0, 8),
                                now.record.data_sha256.substr(0, 8)));
  }
  return found;
}

std::vector<std::string> surroundings(const RunIdentity& before, const RunIdentity& now) {
  std::vector<std::string> found;
  for (const auto& [name, version] : before.record.versions) {
    const auto current = now.record.versions.find(name);
    const std::string here = current == now.record.versions.end() ? "none" : current->second;
    if (here != version) {
      found.push_back(fmt::format("{} {}, now {}", name, version, here));
    }
  }
  if (before.record.processor != now.record.processor) {
    found.push_back(fmt::format("processor {}, now {}", before.record.processor, now.record.processor));
  }
  return found;
}

}  // namespace detent::train
