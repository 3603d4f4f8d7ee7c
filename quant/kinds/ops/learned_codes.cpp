#include "detent/quant/kinds/ops/learned_codes.h"

#include <algorithm>

#include "detent/autograd/pooled_gradient.h"
#include "detent/core/conversion.h"

namespace detent::quant {
namespace {

enum Input : std::size_t { kCodes, kLearned };

kernels::StepSums sums_of(const Tensor& dy, const Tensor& reals, const QParams& map) {
  const std::int64_t elements = reals.elements();
  const Slices slices = element_slices(elements);
  std::vector<kernels::StepSums> by_slice(static_cast<std::size_t>(slices.count));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = elements_of(slices[slice], elements);
    const auto part = [range](std::span<const float> all) {
      return all.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()));
    };
    by_slice[static_cast<std::size_t>(slice)] =
        kernels::step_sums(part(dy.data<float>()), part(reals.data<float>()), map.tensor(), map.codes);
  });
  kernels::StepSums total;
  for (const kernels::StepSums& of_slice : by_slice) {
    total.include(of_slice);
  }
  return total;
}

}  // namespace

StepSumsOf step_sums_of(FakeQuant::ValuesOf reals, std::shared_ptr<const QParams> map) {
  return [reals = std::move(reals), map = std::move(map)](const autograd::Backward& backward) {
    const Tensor dy = backward.dy().as(DType::F32, backward.arena());
    return sums_of(dy, reals(), *map);
  };
}

nn::Variable learned_codes(nn::Context& context, const nn::Module& owner, FakeQuant& output, nn::Variable y,
                           StepSumsOf sums) {
  if (!output.is_learning() || !context.tape.is_recording()) {
    return y;
  }
  const std::shared_ptr<const QParams> map = y.value().qparams();
  if (map->tensor() != output.map()) {
    return y;  // codes of the range before, which begins to be learned now
  }
  const std::span<const float> numbers = std::as_const(output.learned().value).data<float>();
  return context.tape.record(
      "learned map", y.value(), {y, nn::on_tape(context, owner, output.learned())},
      [map, sums = std::move(sums), count = y.value().elements(), rule = output.gradient_rule(),
       numbers = std::vector<float>(numbers.begin(), numbers.end())](autograd::Backward& backward) {
        backward.grad(kLearned, [&] {
          const std::vector<double> gradient =
              rule->gradient(numbers, map->tensor().zero_point, map->codes, sums(backward), count);
          Tensor result = Tensor::empty({static_cast<std::int64_t>(gradient.size())}, DType::F32, backward.arena());
          std::ranges::transform(gradient, result.data<float>().begin(),
                                 [](double value) { return static_cast<float>(value); });
          return result;
        });
        if (const auto* const pooled = backward.lazy_dy<autograd::PooledGradient>()) {
          backward.grad(kCodes, [&] {
            return std::make_unique<autograd::PooledGradient>(pooled->shape, pooled->dy, pooled->y, pooled->argmax);
          });
        } else {
          backward.grad(kCodes, [&] { return backward.dy(); });
        }
      });
}

}  // namespace detent::quant
