#pragma once

#include <string>
#include <vector>

#include "detent/autograd/tape.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/nn/graph.h"
#include "detent/quant/quantizers/channels.h"
#include "detent/quant/quantizers/fake_quant.h"

/// What the ranges of a prepared graph do to examples: the values that each quantizer sees, and the share that it
/// clips.
///
///     set_measuring(prepared, true);
///     ... inference on examples, in as many batches as wanted ...
///     set_measuring(prepared, false);
///     for (const RangeReport& report : range_reports(prepared)) { ... }
namespace detent::quant {

struct RangeReport {
  std::string name = {};             ///< of the module
  MinMax range = {};                 ///< in force
  bool is_learned = false;           ///< whether training chose it by a gradient, and with it what to clip
  Measured measured = {};            ///< since set_measuring
  ChannelReport channels = {};       ///< of what was measured, as codes have it
  bool is_product = false;           ///< of a convolution or linear layer ...
  ChannelReport weights = {};        ///< ... with these weights, ...
  bool shares_weight_scale = false;  ///< ... which have one scale
};

/// Throws Error naming a module that has no range yet, and for one that is calibrating: its values are not codes.
void set_measuring(nn::Graph& prepared, bool on);
/// Of every quantizer, in running order, its module's name and the range in force.
std::vector<std::pair<std::string, MinMax>> ranges_of(const nn::Graph& prepared);
/// Likewise, with all that was measured.
std::vector<RangeReport> range_reports(const nn::Graph& prepared);

/// Ranges in training are averages and fall short of rare values. Where more than this share of the values that are not
/// zero is clipped, ranges are widened before they are frozen.
inline constexpr double kClippedShare = 0.01;
/// Joins to every range that clipped more than `share`, and whose rule may be widened, what it saw; how many there
/// were. What stands behind a widened range will see other values: measure again until there are none.
int widen_clipped(nn::Graph& prepared, double share = kClippedShare);

/// Adds codes of `seen` real values to what was measured.
void add_codes_to(Measured& measured, const MinMax& seen, const Tensor& codes, std::int32_t zero_point);
/// How many codes are not `code`.
std::int64_t count_other_than(const Tensor& codes, std::int32_t code);

/// The codes of a measuring quantizer; `make(map, seen)` gives those of any map. Codes are clipped above where the map
/// with zero_point - qmax gives another code than qmin, and below where that with zero_point + qmax gives another than
/// qmax.
template <typename Make>
autograd::Variable measured_codes(FakeQuant& output, Make&& make) {
  const ScaleZero map = output.map();
  const CodeRange range = output.codes();
  Measured& measured = output.measured();
  MinMax seen;
  autograd::Variable y = make(output.qparams(), &seen);
  add_codes_to(measured, seen, y.value(), map.zero_point);
  const auto count_beyond = [&](std::int32_t shift, std::int32_t inner) {
    const QParams moved = QParams::per_tensor({map.scale, map.zero_point + shift}, range);
    measured.clipped += count_other_than(make(std::make_shared<const QParams>(moved), nullptr).value(), inner);
  };
  if (seen.max > dequantize(range.qmax, map)) {
    count_beyond(-range.qmax, range.qmin);
  }
  if (seen.min < dequantize(range.qmin, map)) {
    count_beyond(range.qmax, range.qmax);
  }
  return y;
}

}  // namespace detent::quant
