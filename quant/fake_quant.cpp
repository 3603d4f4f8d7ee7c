#include "quant/fake_quant.h"

#include <array>

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

void FakeQuant::observe(const MinMax& batch) {
  if (is_frozen() || batch.empty()) {
    saw_nothing_finite_ = batch.empty();
    return;
  }
  observer_.observe(batch);
  const MinMax range = observer_.range();
  const ScaleZero map = choose_qparams(range.min, range.max, codes(), config_.scheme);
  scale_.data<float>()[0] = map.scale;
  zero_point_.data<std::int32_t>()[0] = map.zero_point;
}

void FakeQuant::check_range(std::string_view what) const {
  check(has_range(), what,
        saw_nothing_finite_ ? ": all that was observed was NaN or infinite; look at the data and the weights"
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
  return {{"output_min", &observer_.min(), nullptr, one},
          {"output_max", &observer_.max(), nullptr, one},
          {"output_scale", &scale_, nullptr, one},
          {"output_zero_point", &zero_point_, nullptr, one, DType::S32}};
}

void FakeQuant::check_loaded() const {
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
