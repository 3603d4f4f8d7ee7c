// The commands that documents and help show are commands that there are, with options that they have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cli/process.h"
#include "tests/places.h"

namespace detent::cli::documents_test {
namespace {

namespace fs = std::filesystem;

class Documents : public testing::Test {
 protected:
  Documents() : commands_(words_behind({""})) {}

  // What the program says may stand behind `words`.
  std::set<std::string> words_behind(const std::vector<std::string>& words) const {
    std::vector<std::string> all{"completion", "words", "--json", "--"};
    all.insert(all.end(), words.begin(), words.end());
    const nlohmann::json json = nlohmann::json::parse(detent(folder_, all).out);
    std::set<std::string> found;
    for (const nlohmann::json& candidate : json["words"]) {
      found.insert(candidate["word"]);
    }
    return found;
  }

  // "detent run mnist-cnn --seed 2  # twice && detent ls": the text up to a comment, by "&&".
  void check_line(const std::string& line, const std::string& where) {
    std::istringstream words(std::regex_replace(line.substr(0, line.find(" #")), std::regex("[\\[\\]`]"), ""));
    std::optional<std::string> command;
    bool is_first = true;
    for (std::string word; words >> word;) {
      if (word == "&&" || word == "|" || word == "--") {
        command.reset();
        is_first = word == "&&";
      } else if (is_first && (word == "detent" || word.ends_with("/detent"))) {
        std::string name;
        words >> name;
        is_first = false;
        if (!name.empty() && name[0] >= 'a' && name[0] <= 'z') {
          EXPECT_TRUE(commands_.contains(name)) << where << ": there is no command " << name;
          command = name;
          ++count_;
        }
      } else if (command && word.starts_with("--") && word.size() > 2) {
        const std::string option = word.substr(0, word.find_first_of("=,.;:)'\""));
        EXPECT_TRUE(options_of(*command).contains(option)) << where << ": " << *command << " has no " << option;
      }
    }
  }
  const std::set<std::string>& options_of(const std::string& command) {
    const auto found = options_.find(command);
    return found != options_.end() ? found->second
                                   : options_.emplace(command, words_behind({command, "--"})).first->second;
  }
  // Lines of code that begin with the program, and what stands in backticks in a line of text.
  void check_document(const fs::path& document) {
    static const std::regex code(R"(^ {4,}((build/release/)?detent [^\n]*))");
    static const std::regex quoted("`((build/release/)?detent [^`]*)`");
    std::ifstream in(document);
    int number = 0;
    for (std::string line; std::getline(in, line);) {
      const std::string where = document.filename().string() + ":" + std::to_string(++number);
      std::smatch match;
      if (std::regex_search(line, match, code)) {
        check_line(match[1], where);
      }
      for (std::sregex_iterator found(line.begin(), line.end(), quoted); found != std::sregex_iterator(); ++found) {
        check_line((*found)[1], where);
      }
    }
  }
  TempFolder folder_;
  std::set<std::string> commands_;
  std::map<std::string, std::set<std::string>> options_;
  int count_ = 0;
};

TEST_F(Documents, ShowCommandsThatThereAre) {
  const fs::path root = source_path();
  check_document(root / "README.md");
  check_document(root / "CONTRIBUTING.md");
  for (const auto& entry : fs::directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") {
      check_document(entry.path());
    }
  }
  EXPECT_GT(count_, 60) << "hardly a command was read";
}

TEST_F(Documents, HelpShowsCommandsThatThereAre) {
  for (const std::string& command : commands_) {
    std::istringstream help(detent(folder_, {"help", command}).out);
    for (std::string line; std::getline(help, line);) {
      if (line.starts_with("  detent ") && line.find(" [options]") == std::string::npos) {
        check_line(line, "detent help " + command);
      }
    }
  }
  EXPECT_GT(count_, 25);
}

}  // namespace
}  // namespace detent::cli::documents_test
