#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace detent::architecture {

/// A text file of the project.
struct SourceFile {
  std::string path;  ///< relative to the root, with '/'
  std::vector<std::string> lines;

  std::string folder() const { return path.substr(0, path.find('/')); }
  bool is_cpp() const { return path.ends_with(".cpp") || path.ends_with(".h"); }
  /// Whether it is part of the library or the program, not of the tests, benchmarks or examples.
  bool is_product() const {
    return is_cpp() && folder() != "tests" && folder() != "bench" && folder() != "examples" && path != "detent.h";
  }
};

/// "path:line", as compilers and editors write it.
inline std::string at(const SourceFile& file, std::size_t line) { return file.path + ":" + std::to_string(line + 1); }

/// The text of a line without its end-of-line comment.
inline std::string_view code_of(std::string_view line) { return line.substr(0, line.find("//")); }

/// Every text file below `root`, sorted by path, without hidden folders and what builds and runs leave.
inline std::vector<SourceFile> read_tree(const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  const auto is_text = [](const fs::path& path) {
    static const std::vector<std::string> kExtensions{"",      ".cpp", ".h",  ".cmake", ".txt", ".toml",
                                                      ".json", ".md",  ".py", ".sh",    ".supp"};
    return std::ranges::find(kExtensions, path.extension().string()) != kExtensions.end();
  };
  std::vector<SourceFile> files;
  for (auto entry = fs::recursive_directory_iterator(root); entry != fs::end(entry); ++entry) {
    const std::string name = entry->path().filename().string();
    if (entry->is_directory()) {
      if (name == "build" || name == "out" || name == "runs" || (name.starts_with(".") && name != ".ci")) {
        entry.disable_recursion_pending();
      }
    } else if (is_text(entry->path()) && !name.starts_with(".")) {
      SourceFile file{fs::relative(entry->path(), root).generic_string(), {}};
      std::ifstream in(entry->path());
      for (std::string line; std::getline(in, line);) {
        file.lines.push_back(line);
      }
      files.push_back(std::move(file));
    }
  }
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

}  // namespace detent::architecture
