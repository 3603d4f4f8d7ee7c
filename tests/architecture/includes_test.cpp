// Which folder may include what: the arrows of the house, and third-party headers kept in the sources that need them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "tests/architecture/source_tree.h"
#include "tests/places.h"

namespace detent::architecture::includes_test {
namespace {

// A folder may include itself and what is named here.
const std::map<std::string, std::set<std::string>> kArrows{
    {"core", {}},
    {"io", {"core"}},
    {"kernels", {"core"}},
    {"autograd", {"kernels", "core"}},
    {"runtime", {"kernels", "io", "core"}},
    {"nn", {"autograd", "kernels", "io", "core"}},
    {"optim", {"autograd", "kernels", "core"}},
    {"data", {"autograd", "kernels", "io", "core"}},
    {"quant", {"runtime", "nn", "autograd", "kernels", "io", "core"}},
    {"interchange", {"quant", "runtime", "nn", "data", "autograd", "kernels", "io", "core"}},
    {"evaluation", {"quant", "runtime", "nn", "optim", "data", "autograd", "kernels", "io", "core"}},
    {"report", {"evaluation", "quant", "runtime", "nn", "optim", "data", "autograd", "kernels", "io", "core"}},
    {"train", {"report", "evaluation", "quant", "runtime", "nn", "optim", "data", "autograd", "kernels", "io", "core"}},
    {"recipes",
     {"train", "report", "evaluation", "interchange", "quant", "runtime", "nn", "optim", "data", "autograd", "kernels",
      "io", "core"}},
    {"cli",
     {"recipes", "train", "report", "evaluation", "interchange", "quant", "runtime", "nn", "optim", "data", "autograd",
      "kernels", "io", "core"}},
};

// Headers that begin so may be included only by files whose paths begin so.
struct ThirdParty {
  std::string header;
  std::vector<std::string> homes;
};
const std::vector<ThirdParty> kThirdParty{
    {"oneapi/dnnl", {"kernels/product/onednn", "bench/"}},
    {"dnnl", {"kernels/product/onednn", "bench/"}},
    {"oneapi/tbb", {"core/"}},
    {"tbb/", {"core/"}},
    {"omp.h", {"core/", "kernels/product/"}},
    {"hdf5", {"io/tensor_file"}},
    {"H5", {"io/tensor_file"}},
    {"toml++", {"recipes/"}},
    {"cxxopts", {"cli/", "bench/"}},
    {"curl/", {"data/"}},
    {"zlib.h", {"data/", "tests/data/", "tests/fuzz/repair"}},
    {"png.h", {"data/formats/images/png", "data/formats/library_versions", "tests/data/pictures"}},
    {"jpeglib.h", {"data/formats/images/jpeg", "data/formats/library_versions", "tests/data/pictures"}},
    {"fmt/", {"evaluation/", "report/", "train/", "recipes/", "cli/"}},
    {"nlohmann/",
     {"io/", "runtime/", "nn/", "quant/", "evaluation/drift/distributions_attribute", "report/",
      "train/epochs/progress_state", "train/model_attributes", "recipes/", "cli/", "tests/", "bench/"}},
    {"onnx/", {"interchange/onnx/proto"}},
    {"google/", {"interchange/onnx/proto"}},
    {"gtest/", {"tests/"}},
    {"gmock/", {"tests/"}},
    {"benchmark/", {"bench/"}},
};

struct Include {
  char delimiter;  // '"' or '<'
  std::string header;
};

std::optional<Include> include_of(std::string_view line) {
  const std::size_t word = line.find_first_not_of(" \t");
  if (word == std::string_view::npos || !line.substr(word).starts_with("#include")) {
    return std::nullopt;
  }
  const std::size_t begin = line.find_first_of("\"<", word);
  const std::size_t end = line.find_first_of("\">", begin + 1);
  if (begin == std::string_view::npos || end == std::string_view::npos) {
    return std::nullopt;
  }
  return Include{line[begin], std::string(line.substr(begin + 1, end - begin - 1))};
}

/// The project's headers are included as users do: "detent/nn/graph.h" is nn/graph.h; those of tests as they lie.
std::string path_in_tree(const std::string& header) {
  constexpr std::string_view kPrefix = "detent/";
  return header.starts_with(kPrefix) ? header.substr(kPrefix.size()) : header;
}

template <typename Fn>
void for_each_include(Fn&& fn) {
  std::size_t count = 0;
  for (const SourceFile& file : read_tree(source_path())) {
    for (std::size_t i = 0; file.is_cpp() && i < file.lines.size(); ++i) {
      if (const auto include = include_of(file.lines[i])) {
        fn(file, at(file, i), *include);
        ++count;
      }
    }
  }
  EXPECT_GT(count, 50u) << "the tree at " << source_path() << " has hardly any includes: is it the project's?";
}

TEST(Includes, ObeyTheArrowsBetweenFolders) {
  for_each_include([](const SourceFile& file, const std::string& place, const Include& include) {
    const auto arrows = kArrows.find(file.folder());
    const std::string path = path_in_tree(include.header);
    const std::string target = path.substr(0, path.find('/'));
    if (arrows == kArrows.end() || include.delimiter != '"' || target == file.folder()) {
      return;
    }
    EXPECT_TRUE(arrows->second.contains(target))
        << place << ": " << file.folder() << "/ may not include \"" << include.header << "\"; it may include "
        << ::testing::PrintToString(arrows->second);
  });
}

/// Projects of their own, which include their own headers as they like.
bool is_of_consumer(const SourceFile& file) { return file.path.find("consumer/") != std::string::npos; }

TEST(Includes, AreWrittenAsUsersWriteThem) {
  for_each_include([](const SourceFile& file, const std::string& place, const Include& include) {
    if (include.delimiter == '"') {
      const std::string path = path_in_tree(include.header);
      const std::filesystem::path root = source_path();
      const bool is_neighbour = is_of_consumer(file) && exists((root / file.path).parent_path() / path);
      EXPECT_TRUE(exists(root / path) || is_neighbour)
          << place << ": \"" << include.header << "\" is no file of the project; other libraries' headers stand in <>";
      const bool is_program = file.folder() == "tests" || file.folder() == "bench";  // nobody includes their headers
      EXPECT_TRUE(path != include.header || is_of_consumer(file) ||
                  (is_program && path.starts_with(file.folder() + "/")))
          << place << ": write \"detent/" << include.header << "\"";
    }
  });
}

TEST(Includes, EveryFolderOfTheLibraryHasARow) {
  for (const SourceFile& file : read_tree(source_path())) {
    EXPECT_TRUE(!file.is_product() || kArrows.contains(file.folder()))
        << file.path << ": no row says what it may include";
  }
}

TEST(Includes, ThirdPartyHeadersStayWhereTheyAreNeeded) {
  for_each_include([](const SourceFile& file, const std::string& place, const Include& include) {
    for (const ThirdParty& rule : kThirdParty) {
      const bool applies = include.delimiter == '<' && include.header.starts_with(rule.header);
      const bool is_home =
          std::ranges::any_of(rule.homes, [&](const auto& home) { return file.path.starts_with(home); });
      EXPECT_TRUE(!applies || is_home) << place << ": <" << include.header << "> may be included only in "
                                       << ::testing::PrintToString(rule.homes);
    }
  });
}

TEST(Includes, EveryHeaderIsGuarded) {
  for (const SourceFile& file : read_tree(source_path())) {
    if (file.path.ends_with(".h")) {
      EXPECT_THAT(file.lines, ::testing::Contains("#pragma once")) << file.path;
    }
  }
}

}  // namespace
}  // namespace detent::architecture::includes_test
