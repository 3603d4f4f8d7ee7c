#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "detent/evaluation/sensitivity.h"

/// How many bits does each layer get? Chosen by measured sensitivity, under a limit on size or on accuracy lost.
namespace detent::evaluation {

/// One of the forms that a thing can have.
struct Choice {
  std::int64_t weight = 0;  ///< of which there is a limit for all things together; >= 0
  double value = 0.0;       ///< of which the least sum is wanted; finite
};

struct Selection {
  std::vector<std::size_t> chosen;  ///< one form of each thing
  std::int64_t weight = 0;
  double value = 0.0;
  bool is_exact = false;  ///< no selection within the limit has less value
};

/// From how many partial selections on `select` is greedy.
inline constexpr std::size_t kMostPartialSelections = std::size_t{1} << 16;

/// One form for each thing, so that the sum of weights is at most `limit` and the sum of values as small as it can be:
/// the multiple-choice knapsack problem (Kellerer, Pferschy and Pisinger 2004, chapter 11). Exact by dynamic
/// programming over partial selections that no other one beats in both sums, while there are no more than `most` of
/// them. Beyond that greedy: from the least values on, the change that costs least value a unit of weight, until the
/// limit holds; then what is left of the limit goes to the changes that win most value. Of selections of one value the
/// lightest. nullopt: there is none. Throws Error for a thing without forms.
std::optional<Selection> select(std::span<const std::vector<Choice>> things, std::int64_t limit,
                                std::size_t most = kMostPartialSelections);

/// Bits for each layer of a Sensitivity, and what follows if the effects of layers add up.
struct Allocation {
  std::vector<std::size_t> points;  ///< of each layer, the index of its point
  std::int64_t bytes = 0;           ///< LayerSize::bytes of all layers
  std::int64_t float_bytes = 0;
  double loss_increase = 0.0;
  std::int64_t drop = 0;  ///< Sensitivity::drop; layers with which more are right count 0
  bool is_exact = false;
};

/// Which points the first and the last layer can have.
enum class Ends : std::uint8_t { AsOthers, EightBits };

/// The least sum of loss increases whose layers take at most `budget` bytes. Throws Error, naming the least size, if
/// there is none, and for ends of 8 bits where none were measured.
Allocation allocate_by_size(const Sensitivity& sensitivity, std::int64_t budget, Ends ends);
/// The least size whose layers drop at most `max_drop` (Sensitivity::drop), likewise.
Allocation allocate_by_drop(const Sensitivity& sensitivity, std::int64_t max_drop, Ends ends);

}  // namespace detent::evaluation
