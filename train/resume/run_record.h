#pragma once

#include <string>
#include <vector>

#include "detent/evaluation/record/run_record.h"
#include "detent/train/run_data.h"

namespace detent::train {

/// Of the elements of examples and labels of the training, validation and test part, one after the other.
std::string sha256_of(const RunData& data);

/// `record`, which says what its caller knows, with the versions of program and libraries, the processor's class and
/// the checksum of `data`. Throws Error if that is not `expected`, where this is not empty.
evaluation::RunRecord completed(evaluation::RunRecord record, const RunData& data, const std::string& expected = {});

/// What a run is, as far as its models depend on it.
struct RunIdentity {
  std::string recipe = {};  ///< its name
  std::uint64_t seed = 0;
  evaluation::RunRecord record = {};
};

/// In what `before` differs from `now`, so that it would give other models: "seed 1, not 2". Empty: in nothing.
/// Settings that came from no recipe are told by their name alone.
std::vector<std::string> differences(const RunIdentity& before, const RunIdentity& now);
/// The same of what should give the same models, but may not: versions, and the processor's class.
std::vector<std::string> surroundings(const RunIdentity& before, const RunIdentity& now);

}  // namespace detent::train
