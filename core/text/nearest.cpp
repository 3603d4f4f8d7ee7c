#include "detent/core/text/nearest.h"

#include <algorithm>
#include <vector>

#include "detent/core/text/nearest_path.h"

namespace detent {
namespace {

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter; }

bool is_same(char a, char b) { return lower(a) == lower(b); }

bool begins_with(std::string_view name, std::string_view word) {
  return name.size() >= word.size() && std::ranges::equal(name.substr(0, word.size()), word, is_same);
}

// Longer words are no slip of a finger; files may hold names of any length.
constexpr std::size_t kLongestWord = 64;

// Null: none was meant.
const std::string* meant(std::string_view word, std::span<const std::string> candidates) {
  if (word.size() > kLongestWord) {
    return nullptr;
  }
  if (word.size() > 1 && !word.ends_with('-')) {
    const auto longer =
        std::ranges::find_if(candidates, [&](const std::string& name) { return begins_with(name, word); });
    if (longer != candidates.end()) {
      return &*longer;
    }
  }
  const std::string* nearest = nullptr;
  // A third of the word may differ, but not all of it.
  std::size_t smallest = std::min(std::max<std::size_t>(1, word.size() / 3) + 1, word.size());
  for (const std::string& candidate : candidates) {
    const std::size_t more = std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());
    const std::size_t distance = more < smallest ? edit_distance(word, candidate) : more;
    if (distance < smallest) {
      smallest = distance;
      nearest = &candidate;
    }
  }
  return nearest;
}

}  // namespace

std::string did_you_mean_path(const std::filesystem::path& path, std::string_view otherwise) {
  namespace fs = std::filesystem;
  fs::path found;
  std::error_code error;
  for (const fs::path& part : path) {
    if (fs::exists(found / part, error)) {
      found /= part;
      continue;
    }
    std::vector<std::string> names;
    fs::directory_iterator entries(found.empty() ? fs::path(".") : found, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      names.push_back(entries->path().filename().string());
    }
    std::ranges::sort(names);
    const std::string* const name = meant(part.string(), names);
    if (name == nullptr) {
      return std::string(otherwise);
    }
    found /= *name;
  }
  return found.empty() ? std::string(otherwise) : "; did you mean '" + found.string() + "'?";
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> distance(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        distance[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = distance[i - 1][j - 1] + (is_same(a[i - 1], b[j - 1]) ? 0 : 1);
      distance[i][j] = std::min({replaced, distance[i - 1][j] + 1, distance[i][j - 1] + 1});
      if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1])) {
        distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
      }
    }
  }
  return distance[a.size()][b.size()];
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates, std::string_view otherwise) {
  const std::string* const candidate = meant(word, candidates);
  return candidate == nullptr ? std::string(otherwise) : "; did you mean '" + *candidate + "'?";
}

}  // namespace detent
