#include "detent/data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "detent/core/philox.h"

namespace detent::data {
namespace {

using Stratum = std::vector<std::int64_t>;

// A share such as 0.3 of 10 is meant to be 3, whatever 0.3 is in binary.
constexpr double kRounding = 1e-9;

std::int64_t whole_part(double x) { return static_cast<std::int64_t>(std::floor(x + kRounding)); }

void shuffle(std::vector<std::int64_t>& order, RandomStream& random) {
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[random.index(static_cast<std::uint32_t>(left))]);
  }
}

// The examples of each class, or of each combination of flags; one stratum where there are values.
std::vector<Stratum> strata_of(const Dataset& dataset) {
  std::map<std::string, Stratum> strata;
  std::map<std::int32_t, Stratum> classes;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    if (dataset.targets == TargetKind::kClasses) {
      classes[dataset.labels.data<std::int32_t>()[static_cast<std::size_t>(i)]].push_back(i);
      continue;
    }
    std::string key;
    if (dataset.targets == TargetKind::kFlags) {
      const auto flags = dataset.labels.data<float>().subspan(static_cast<std::size_t>(i * dataset.classes),
                                                              static_cast<std::size_t>(dataset.classes));
      std::ranges::transform(flags, std::back_inserter(key), [](float flag) { return flag != 0.0F ? '1' : '0'; });
    }
    strata[key].push_back(i);
  }
  std::vector<Stratum> all;
  for (auto& [label, stratum] : classes) {
    all.push_back(std::move(stratum));
  }
  for (auto& [key, stratum] : strata) {
    all.push_back(std::move(stratum));
  }
  return all;
}

// How many each stratum gives.
std::vector<std::int64_t> counts_held_out(const std::vector<Stratum>& strata, double share, std::int64_t examples) {
  std::vector<std::int64_t> counts;
  std::vector<std::int64_t> remainders;  // in units so coarse that equal ones compare equal
  std::int64_t left = whole_part(share * static_cast<double>(examples));
  for (const Stratum& stratum : strata) {
    const double wanted = share * static_cast<double>(stratum.size());
    counts.push_back(std::min<std::int64_t>(whole_part(wanted), std::ssize(stratum) - 1));
    remainders.push_back(whole_part((wanted - static_cast<double>(counts.back())) * 1e6));
    left -= counts.back();
  }
  std::vector<std::size_t> order(strata.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (const std::size_t s : order) {
    if (left > 0 && counts[s] + 1 < std::ssize(strata[s])) {
      ++counts[s];
      --left;
    }
  }
  return counts;
}

}  // namespace

Split stratified_split(const Dataset& dataset, double share, std::uint64_t seed) {
  check(share >= 0.0 && share < 1.0, "split: expected a share in [0, 1), got ", share);
  std::vector<Stratum> strata = strata_of(dataset);
  const std::vector<std::int64_t> counts = counts_held_out(strata, share, dataset.size());
  Split split;
  for (std::size_t s = 0; s < strata.size(); ++s) {
    RandomStream random(seed, "split", s);
    shuffle(strata[s], random);
    const auto cut = strata[s].begin() + counts[s];
    split.held_out.insert(split.held_out.end(), strata[s].begin(), cut);
    split.kept.insert(split.kept.end(), cut, strata[s].end());
  }
  std::ranges::sort(split.kept);
  std::ranges::sort(split.held_out);
  return split;
}

Dataset shuffled(const Dataset& dataset, std::uint64_t seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(dataset.size()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  RandomStream random(seed, "order of examples");
  shuffle(order, random);
  return dataset.subset(order);
}

}  // namespace detent::data
