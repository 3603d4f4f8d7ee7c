#include "detent/interchange/c/golden.h"

#include <algorithm>

#include "detent/core/error.h"
#include "detent/core/philox.h"
#include "detent/interchange/c/export.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/runtime/plan.h"
#include "detent/runtime/target_plan.h"

namespace detent::interchange::c {
namespace {

constexpr std::int64_t kBatch = 32;

/// The values `wanted` of a batch.
std::vector<Tensor> run(const runtime::Model& model, Requantize requantize, std::span<const Tensor> inputs,
                        std::span<const runtime::ValueId> wanted) {
  const std::int64_t batch = inputs[0].shape()[0];
  std::vector<Tensor> values;
  if (requantize == Requantize::Fixed) {
    const std::vector<Tensor> all = runtime::TargetPlan(model, batch, kernels::RoundingTarget::Tflite).run(inputs);
    std::ranges::transform(wanted, std::back_inserter(values), [&](runtime::ValueId value) { return all[value]; });
    return values;
  }
  runtime::Plan plan(model, batch, {.keeps_values = true});
  plan.run(inputs);
  std::ranges::transform(wanted, std::back_inserter(values),
                         [&](runtime::ValueId value) { return plan.value(value).clone(); });
  return values;
}

}  // namespace

Golden golden_of(const Program& program, Requantize requantize, std::span<const Tensor> examples) {
  check(!examples.empty() && examples[0].defined() && examples[0].shape().rank() >= 1,
        "export: c: expected examples for the self-test");
  std::vector<runtime::ValueId> wanted;
  std::ranges::transform(program.entries, std::back_inserter(wanted), &Entry::value);
  wanted.push_back(program.result);
  Golden golden{.examples = examples[0].shape()[0]};
  std::vector<Tensor> all;
  for (const runtime::ValueId value : wanted) {
    all.push_back(Tensor::empty({golden.examples, program.type(value).shape.elements()}, DType::U8));
  }
  for (std::int64_t first = 0; first < golden.examples; first += kBatch) {
    const std::int64_t end = std::min(first + kBatch, golden.examples);
    std::vector<Tensor> inputs;
    std::ranges::transform(examples, std::back_inserter(inputs),
                           [&](const Tensor& input) { return input.rows(first, end); });
    const std::vector<Tensor> values = run(*program.model, requantize, inputs, wanted);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      Tensor rows = all[i].rows(first, end);
      rows.copy_from(values[i].reshape(rows.shape()));
    }
  }
  golden.result = all.back();
  all.pop_back();
  golden.entries = std::move(all);
  return golden;
}

std::vector<Tensor> drawn_examples(const runtime::Model& model, std::int64_t count, std::uint64_t seed) {
  const Program program = make_program(model, Requantize::F32);
  std::vector<Tensor> examples;
  for (runtime::ValueId input = 0; input < model.inputs.size(); ++input) {
    RandomStream random(seed, "examples", input);
    const auto entry = std::ranges::find(program.entries, input, &Entry::input);
    const QParams& map = *program.type(entry->value).qparams;
    const auto draw = [&] {
      const auto codes = static_cast<std::uint32_t>(map.codes.qmax - map.codes.qmin + 1);
      return map.codes.qmin + static_cast<std::int32_t>(random.index(codes));
    };
    const runtime::ValueType& type = model.inputs[input].type;
    Tensor drawn = Tensor::empty(type.shape.batched(count), type.dtype);
    if (type.is_codes()) {
      std::ranges::generate(drawn.data<std::uint8_t>(), [&] { return static_cast<std::uint8_t>(draw()); });
    } else {
      std::ranges::generate(drawn.data<float>(), [&] { return dequantize(draw(), map.tensor()); });
    }
    examples.push_back(drawn);
  }
  return examples;
}

}  // namespace detent::interchange::c
