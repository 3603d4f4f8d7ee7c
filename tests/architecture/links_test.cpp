// What the documents point at is there: files of the tree, and headings in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <regex>
#include <set>

#include "tests/architecture/source_tree.h"
#include "tests/places.h"

namespace detent::architecture::links_test {
namespace {

namespace fs = std::filesystem;

/// What a heading is called in links: "## Data of one's own" is data-of-ones-own.
std::string anchor_of(std::string_view heading) {
  std::string anchor;
  for (const char letter : heading.substr(heading.find_first_not_of("# "))) {
    if (letter == ' ' || letter == '-') {
      anchor += '-';
    } else if (std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_') {
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
  }
  return anchor;
}

std::set<std::string> anchors_of(const fs::path& document) {
  std::set<std::string> anchors;
  std::ifstream in(document);
  bool is_code = false;
  for (std::string line; std::getline(in, line);) {
    is_code = line.starts_with("```") ? !is_code : is_code;
    if (!is_code && std::regex_search(line, std::regex("^#+ "))) {
      anchors.insert(anchor_of(line));
    }
  }
  return anchors;
}

TEST(Links, AnchorsAreMadeAsReadersOfMarkdownMakeThem) {
  EXPECT_EQ(anchor_of("### Data of one's own"), "data-of-ones-own");
  EXPECT_EQ(anchor_of("## [data]"), "data");
  EXPECT_EQ(anchor_of("## Graphs: fp32.h5, qat.h5"), "graphs-fp32h5-qath5");
}

TEST(Links, OfDocumentsLeadSomewhere) {
  const fs::path root = source_path();
  const std::regex link(R"(\]\(([^)#\s]*)(#([^)\s]+))?\))");
  int count = 0;
  for (const SourceFile& file : read_tree(root)) {
    for (std::size_t i = 0; file.path.ends_with(".md") && i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      for (std::sregex_iterator found(line.begin(), line.end(), link); found != std::sregex_iterator(); ++found) {
        const std::string target = (*found)[1], anchor = (*found)[3];
        if (target.find("://") != std::string::npos || (target.empty() && anchor.empty())) {
          continue;
        }
        ++count;
        const fs::path path = target.empty() ? root / file.path : (root / file.path).parent_path() / target;
        EXPECT_TRUE(fs::exists(path)) << at(file, i) << ": " << target << " is not there";
        if (!anchor.empty() && fs::exists(path)) {
          EXPECT_TRUE(anchors_of(path).contains(anchor)) << at(file, i) << ": there is no heading for #" << anchor;
        }
      }
    }
  }
  EXPECT_GT(count, 20) << "hardly a link was read";
}

}  // namespace
}  // namespace detent::architecture::links_test
