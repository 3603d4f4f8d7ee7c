#pragma once

#include "detent/nn/module.h"
#include "detent/quant/quantizers/fake_quant.h"

namespace detent::quant {

/// `y`, the codes that `output` just gave, of which the map is learned where output.is_learning(): the gradient of y
/// passes on, and in the backward pass output.learned() gets its own (GradientRule::gradient), of all values in slices
/// whose sums are added in their order. `reals` gives the real values that were quantized, f32, in the order of y; it
/// is called in the backward pass, so it must own what it needs, and record nothing on the tape.
///
/// A module that does not call this keeps the map that the rule began with.
nn::Variable learned_codes(nn::Context& context, const nn::Module& owner, FakeQuant& output, nn::Variable y,
                           FakeQuant::ValuesOf reals);

/// What `compute`, a function of an inference tape, gives: for `reals`.
template <typename Compute>
Tensor on_inference_tape(Arena* arena, Compute&& compute) {
  nn::Tape tape(arena, nn::Tape::Mode::Inference);
  return compute(tape).value();
}

}  // namespace detent::quant
