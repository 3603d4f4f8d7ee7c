#include "detent/report/evidence/flips.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace detent::report {
namespace {

using evaluation::Flip;

// A field, in quotes where it would end too soon.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char letter : text) {
    quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  }
  return quoted + '"';
}

}  // namespace

std::vector<Flip> worst_flips(const std::vector<Flip>& flips, std::size_t most) {
  std::vector<Flip> worst = flips;
  if (worst.size() > most) {
    std::ranges::stable_sort(worst, {}, [](const Flip& flip) {
      const int kind = flip.label == flip.a ? 0 : flip.label == flip.b ? 1 : 2;
      return std::tuple(kind, -flip.margin_b);
    });
    worst.resize(most);
    std::ranges::sort(worst, {}, &Flip::index);
  }
  return worst;
}

std::string flips_csv(const evaluation::Evidence& evidence) {
  std::string text = "a,b,index,label,class_a,class_b,margin_a,margin_b\n";
  for (const evaluation::PairEvidence& pair : evidence.pairs) {
    const std::string models = field(pair.a) + ',' + field(pair.b);
    for (const Flip& flip : pair.flips) {
      text += fmt::format("{},{},{},{},{},{},{}\n", models, flip.index, flip.label, flip.a, flip.b, flip.margin_a,
                          flip.margin_b);
    }
  }
  return text;
}

}  // namespace detent::report
