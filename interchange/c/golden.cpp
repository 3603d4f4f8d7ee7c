#include "detent/interchange/c/golden.h"

#include <algorithm>
#include <optional>

#include "detent/core/error.h"
#include "detent/core/philox.h"
#include "detent/interchange/c/export.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/runtime/plan.h"
#include "detent/runtime/target_plan.h"

namespace detent::interchange::c {
namespace {

constexpr std::int64_t kBatch = 32;

/// The executor of a requantization, made again where the size of the batch changes.
class Executor {
 public:
  Executor(const runtime::Model& model, Requantize requantize) : model_(model), requantize_(requantize) {}

  /// The values `wanted`; they hold until the next run.
  std::vector<Tensor> run(std::span<const Tensor> inputs, std::span<const runtime::ValueId> wanted) {
    const std::int64_t batch = inputs[0].shape()[0];
    std::vector<Tensor> values;
    if (requantize_ == Requantize::Fixed) {
      if (!target_ || target_->batch() != batch) {
        target_.emplace(model_, batch, kernels::RoundingTarget::Tflite);
      }
      const std::vector<Tensor> all = target_->run(inputs);
      std::ranges::transform(wanted, std::back_inserter(values), [&](runtime::ValueId value) { return all[value]; });
      return values;
    }
    if (!plan_ || plan_->batch() != batch) {
      plan_.emplace(model_, batch, runtime::PlanOptions{.keeps_values = true});
    }
    plan_->run(inputs);
    std::ranges::transform(wanted, std::back_inserter(values),
                           [&](runtime::ValueId value) { return plan_->value(value); });
    return values;
  }

 private:
  const runtime::Model& model_;
  Requantize requantize_;
  std::optional<runtime::Plan> plan_ = {};
  std::optional<runtime::TargetPlan> target_ = {};
};

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
    const runtime::ValueType& type = program.type(value);
    all.push_back(Tensor::empty({golden.examples, type.shape.elements()}, type.dtype));
  }
  Executor executor(*program.model, requantize);
  for (std::int64_t first = 0; first < golden.examples; first += kBatch) {
    const std::int64_t end = std::min(first + kBatch, golden.examples);
    std::vector<Tensor> inputs;
    std::ranges::transform(examples, std::back_inserter(inputs),
                           [&](const Tensor& input) { return input.rows(first, end); });
    const std::vector<Tensor> values = executor.run(inputs, wanted);
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
    const runtime::ValueType& type = model.inputs[input].type;
    Tensor drawn = Tensor::empty(type.shape.batched(count), type.dtype);
    if (!program.type(entry->value).is_codes()) {
      std::ranges::generate(drawn.data<float>(), [&] { return random.uniform(-1.0F, 1.0F); });
      examples.push_back(drawn);
      continue;
    }
    const QParams& map = *program.type(entry->value).qparams;
    const auto draw = [&] {
      const auto codes = static_cast<std::uint32_t>(map.codes.qmax - map.codes.qmin + 1);
      return map.codes.qmin + static_cast<std::int32_t>(random.index(codes));
    };
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
