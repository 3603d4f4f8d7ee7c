#pragma once

#include "detent/nn/module.h"
#include "detent/quant/quantizers/fake_quant.h"

namespace detent::quant {

/// What the gradient of a map needs of the values that it quantized, given what the backward pass knows of the codes:
/// their gradient, f32 or bf16, or a lazy one. It is called in the backward pass, so it must own what it needs, and
/// record nothing on the tape.
using StepSumsOf = std::function<kernels::StepSums(const autograd::Backward&)>;

/// `y`, the codes that `output` just gave, of which the map is learned where output.is_learning(): the gradient of y
/// passes on, and in the backward pass output.learned() gets its own (GradientRule::gradient) of `sums`.
///
/// A module that does not call this keeps the map that the rule began with.
nn::Variable learned_codes(nn::Context& context, const nn::Module& owner, FakeQuant& output, nn::Variable y,
                           StepSumsOf sums);
/// The sums of real values in memory, f32, in the order of the codes of this map, over slices whose sums are added in
/// their order. `reals` is called in the backward pass.
StepSumsOf step_sums_of(FakeQuant::ValuesOf reals, std::shared_ptr<const QParams> map);

/// What `compute`, a function of an inference tape, gives: for `reals`.
template <typename Compute>
Tensor on_inference_tape(Arena* arena, Compute&& compute) {
  nn::Tape tape(arena, nn::Tape::Mode::Inference);
  return compute(tape).value();
}

}  // namespace detent::quant
