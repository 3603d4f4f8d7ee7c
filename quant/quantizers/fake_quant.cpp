#include "detent/quant/quantizers/fake_quant.h"
#include "detent/kernels/codes/quantize.h"

#include <array>
#include <cmath>

namespace detent::quant {
namespace {

constexpr std::array<std::string_view, 3> kStateNames{"calibrating", "observing", "frozen"};

}  // namespace

FakeQuant::FakeQuant(const ActivationQuantizer& config, State state)
    : config_(config),
      state_(state),
      observer_(config.observer),
      scale_(Tensor::full({1}, DType::F32, 1.0)),
      zero_point_(Tensor::zeros({1}, DType::S32)) {}

void FakeQuant::observe(const MinMax& batch, std::int64_t examples) {
  if (is_frozen()) {
    return;
  }
  if (batch.empty()) {
    saw_no_finite_value_ = true;
    return;
  }
  observer_.observe(batch, examples);
  choose_map();
}

void FakeQuant::widen(const MinMax& seen) {
  check(!is_frozen(), "widen: the quantizer is frozen");
  observer_.widen(seen);
  choose_map();
}

void FakeQuant::choose_map() {
  const MinMax range = observer_.range();
  const ScaleZero map = choose_qparams(range.min, range.max, codes(), config_.scheme);
  scale_.data<float>()[0] = map.scale;
  zero_point_.data<std::int32_t>()[0] = map.zero_point;
}

void FakeQuant::set_measuring(bool on) {
  is_measuring_ = on;
  if (on) {
    measured_ = {};
  }
}

void FakeQuant::check_range(std::string_view who) const {
  check(has_range(), who,
        saw_no_finite_value_
            ? ": it saw no finite value, only NaN and infinities; look at the data, the weights and the "
              "learning rate"
            : ": no range was observed yet; train or calibrate the model first");
}

ScaleZero FakeQuant::map() const {
  check_range("quantize");
  return {scale_.data<float>()[0], zero_point_.data<std::int32_t>()[0]};
}

std::shared_ptr<const QParams> FakeQuant::qparams() const {
  return std::make_shared<const QParams>(QParams::per_tensor(map(), codes()));
}

void FakeQuant::freeze() {
  check_range("freeze");
  observer_.freeze();
  state_ = State::Frozen;
}

std::vector<nn::Slot> FakeQuant::slots() {
  const Shape one{1};
  std::vector<nn::Slot> slots{{"output_min", &observer_.min(), nullptr, one},
                              {"output_max", &observer_.max(), nullptr, one},
                              {"output_scale", &scale_, nullptr, one},
                              {"output_zero_point", &zero_point_, nullptr, one, DType::S32}};
  if (!is_frozen() && config_.observer.kind == ObserverKind::MovingAverage) {
    // Files that were written before there were windows lack them: their batches were windows of their own.
    slots.push_back({"output_window_min", &observer_.window_min(), nullptr, one, DType::F32, false, true});
    slots.push_back({"output_window_max", &observer_.window_max(), nullptr, one, DType::F32, false, true});
    slots.push_back({"output_window_examples", &observer_.window_examples(), nullptr, one, DType::S32, false, true});
  }
  return slots;
}

void FakeQuant::check_loaded() {
  const std::int32_t examples = observer_.window_examples().data<std::int32_t>()[0];
  check(examples >= 0 && examples < kWindowExamples, "output_window_examples: expected 0 to ", kWindowExamples - 1,
        ", got ", examples);
  for (Tensor* const extreme : {&observer_.min(), &observer_.max(), &observer_.window_min(), &observer_.window_max()}) {
    const float value = extreme->data<float>()[0];
    check(std::isfinite(value), "quantize: expected a range of finite numbers, got ", value);
  }
  if (has_range()) {
    qparams()->validate();
  } else {
    check(!is_frozen(), "quantize: a frozen quantizer must have a range");
  }
}

std::string_view name_of(FakeQuant::State state) { return kStateNames[static_cast<std::size_t>(state)]; }

FakeQuant::State fake_quant_state_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kStateNames.size(); ++i) {
    if (kStateNames[i] == name) {
      return static_cast<FakeQuant::State>(i);
    }
  }
  fail("quantize: expected the state calibrating, observing or frozen, got '", name, "'");
}

}  // namespace detent::quant
