#pragma once

#include <nlohmann/json.hpp>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/kinds/ops/learned_codes.h"
#include "detent/quant/kinds/ops/quantized_ops.h"
#include "detent/quant/kinds/qat_options.h"
#include "detent/quant/quantizers/measure.h"

/// What modules without weights whose result is quantized share.
namespace detent::quant {

/// Observes and quantizes what `make(map, seen)` computes: with the range as it stands, or, for a first batch and where
/// the current range is asked for, with the range that has the batch in it. While measuring it counts instead. `reals`
/// gives the real values, for range rules that need them.
template <typename Make>
Variable observe_and_make(const nn::Context& context, const nn::Module& owner, FakeQuant& output, RangeUse range,
                          std::int64_t examples, Make&& make, const FakeQuant::ValuesOf& reals) {
  if (output.is_measuring() && !context.training) {
    return measured_codes(output, make);
  }
  const bool observe = context.training && output.wants_ranges();
  const bool observe_first = observe && (!output.has_range() || range == RangeUse::Current);
  if (observe_first) {
    MinMax seen;
    make(std::make_shared<const QParams>(QParams::per_tensor({}, output.codes())), &seen);
    output.observe(seen, examples, reals);
  }
  output.check_range(owner.name());
  const bool observe_after = observe && !observe_first;
  MinMax seen;
  Variable y = make(output.qparams(), observe_after ? &seen : nullptr);
  if (observe_after) {
    output.observe(seen, examples, reals);
  }
  return y;
}

/// The same of an output whose map may be learned. `reals` as step_sums_of wants it.
template <typename Make>
Variable observe_make_and_learn(nn::Context& context, const nn::Module& owner, FakeQuant& output, RangeUse range,
                                std::int64_t examples, Make&& make, const FakeQuant::ValuesOf& reals) {
  Variable y = observe_and_make(context, owner, output, range, examples, make, reals);
  StepSumsOf sums = step_sums_of(reals, y.value().qparams());
  return learned_codes(context, owner, output, std::move(y), std::move(sums));
}

/// `y`, which `output` has observed.
inline Variable calibrated(FakeQuant& output, Variable y) {
  output.observe(y.value(), y.shape()[0]);
  return y;
}

struct OutputOptions {
  ActivationOptions activation;
  RangeUse range = RangeUse::Previous;
};
nlohmann::json output_options(const FakeQuant& output, RangeUse range);
/// Reads what output_options wrote, and takes it out of `options`.
OutputOptions take_output_options(nlohmann::json& options, std::string_view kind);

}  // namespace detent::quant
