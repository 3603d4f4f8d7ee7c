// Rules of the house that a text search can check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "tests/architecture/source_tree.h"
#include "tests/places.h"

namespace detent::architecture::rules_test {
namespace {

constexpr std::size_t kMaxLines = 400;

// Places that round numbers which are no codes, and why they may.
struct Exception {
  std::string path;  // or its beginning
  std::string reason;
};
const std::vector<Exception> kMayRound{
    {"kernels/codes/", "the one place where real numbers, and sums, become codes"},
    {"core/conversion", "numbers of one element type as those of another"},
    {"data/", "pixels and coordinates of images"},
};

bool begins_with(const SourceFile& file, const std::vector<Exception>& exceptions) {
  return std::ranges::any_of(exceptions, [&](const Exception& e) { return file.path.starts_with(e.path); });
}

// Reports every line of a file for which `use` accepts the file and whose text matches `pattern`.
template <typename Use>
void expect_no_line(const std::regex& pattern, const std::string& advice, Use&& use, bool only_code) {
  std::size_t read = 0;
  for (const SourceFile& file : read_tree(source_path())) {
    for (std::size_t i = 0; use(file) && i < file.lines.size(); ++i, ++read) {
      const std::string line(only_code ? code_of(file.lines[i]) : std::string_view(file.lines[i]));
      EXPECT_FALSE(std::regex_search(line, pattern)) << at(file, i) << ": " << advice << "\n  " << file.lines[i];
    }
  }
  EXPECT_GT(read, 100u) << "hardly a line was read below " << source_path();
}

TEST(Rules, NothingRoundsOutsideKernelsCodes) {
  const std::regex rounding(
      R"(\b(ll?)?(round|rint|nearbyint|roundeven)[fl]?\s*\(|_cvtt?ps_epi32\b|_roundscale_|_round_p[sd]\b)"
      R"(|12582912|kernels/codes/rounding\.h)");
  expect_no_line(
      rounding, "rounds a number; codes are made in kernels/codes only (a count of steps: integer arithmetic)",
      [](const SourceFile& file) { return file.is_product() && !begins_with(file, kMayRound); }, true);
}

TEST(Rules, OpenMpPragmasStayOut) {
  expect_no_line(
      std::regex(R"(^\s*#\s*pragma\s+omp\s+(parallel|for|task))"),
      "TBB is the only thread pool: see core/threads/parallel.h", [](const SourceFile& file) { return file.is_cpp(); },
      true);
}

TEST(Rules, ViewsStayOut) {
  expect_no_line(
      std::regex(R"(^\s*#\s*include\s*<ranges>|\bstd::(ranges::)?views::)"),
      "clang 14 does not compile the views of GCC 12's library, and preset fuzz is built with it",
      [](const SourceFile& file) { return file.is_cpp(); }, true);
}

TEST(Rules, JsonForUsersBecomesTextInOnePlace) {
  const auto is_writer = [](const SourceFile& file) {
    return (file.folder() == "report" || file.folder() == "recipes" || file.folder() == "cli") &&
           file.path != "report/json_text.h";
  };
  expect_no_line(std::regex(R"(\.dump\s*\()"), "throws for a name that is not UTF-8: report/json_text.h does not",
                 is_writer, true);
}

TEST(Rules, JsonOfFilesIsParsedInOnePlace) {
  const auto is_reader = [](const SourceFile& file) {
    return file.is_product() && file.path != "io/description.cpp" && file.path != "interchange/weights/safetensors.cpp";
  };
  expect_no_line(std::regex(R"(\bjson::(parse|accept|from_\w+)\s*\()"),
                 "takes JSON that is nested so deeply that the stack overflows: io/description.h does not", is_reader,
                 true);
}

TEST(Rules, TheLibraryNeverPrintsOrAborts) {
  expect_no_line(
      std::regex(R"(\bstd::(cout|cerr|clog|abort|exit|quick_exit|terminate)\b|\b(f|v|vf)?printf\s*\()"),
      "only cli/ prints or ends the program; throw detent::Error",
      [](const SourceFile& file) { return file.is_product() && file.folder() != "cli"; }, true);
}

TEST(Rules, NothingIsLeftOpen) {
  expect_no_line(
      std::regex("\\b(TO"
                 "DO|FIX"
                 "ME|XX"
                 "X|HA"
                 "CK)\\b"),
      "finish it, or write an issue", [](const SourceFile&) { return true; }, false);
}

TEST(Rules, NoPathOfOneMachine) {
  expect_no_line(
      std::regex("(^|[^A-Za-z0-9_.}])/(ho"
                 "me|ro"
                 "ot|wo"
                 "rk|Us"
                 "ers)/"),
      "a path of one machine", [](const SourceFile&) { return true; }, false);
}

TEST(Rules, FoldersAreSmall) {
  constexpr int kMaxFiles = 25;
  std::map<std::string, int> files;
  for (const SourceFile& file : read_tree(source_path())) {
    if (file.is_product()) {
      ++files[file.path.substr(0, file.path.rfind('/'))];
    }
  }
  for (const auto& [folder, count] : files) {
    EXPECT_LE(count, kMaxFiles) << folder << "/ has " << count << " sources: give it subfolders";
  }
}

// Several are compiled as one file, where two local helpers of one name would collide.
TEST(Rules, SourcesOfTestsHaveNamespacesOfTheirOwn) {
  std::size_t read = 0;
  for (const SourceFile& file : read_tree(source_path())) {
    if (!file.path.starts_with("tests/") || !file.path.ends_with("_test.cpp")) {
      continue;
    }
    ++read;
    const std::string name = std::filesystem::path(file.path).stem().string();
    const std::regex opening("^namespace detent[a-z0-9_:]*::" + name + " \\{$");
    EXPECT_TRUE(
        std::ranges::any_of(file.lines, [&](const std::string& line) { return std::regex_match(line, opening); }))
        << file.path << ": expected it in a namespace of its own, detent::" << name;
  }
  EXPECT_GT(read, 100u) << "hardly a test was read below " << source_path();
}

TEST(Rules, FilesAreShort) {
  for (const SourceFile& file : read_tree(source_path())) {
    if (file.path.ends_with(".md") || file.path.starts_with("tests/golden/")) {
      continue;
    }
    EXPECT_LE(file.lines.size(), kMaxLines)
        << file.path << " has " << file.lines.size() << " lines: split it by family";
  }
}

}  // namespace
}  // namespace detent::architecture::rules_test
