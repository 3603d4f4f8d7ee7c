#include "detent/quant/quantizers/fake_quant.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/sign_codes.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

constexpr std::array<std::string_view, 3> kStateNames{"calibrating", "observing", "frozen"};

}  // namespace

FakeQuant::FakeQuant(const QuantizerSpec& config, State state)
    : config_(config),
      state_(state),
      rule_(make_range_rule(config.range.or_else(kMovingAverageRule), config.range_target())),
      gradient_(make_gradient_rule(config.gradient)),
      min_(Tensor::full({1}, DType::F32, double{MinMax{}.min})),
      max_(Tensor::full({1}, DType::F32, double{MinMax{}.max})),
      scale_(Tensor::full({1}, DType::F32, 1.0)),
      zero_point_(Tensor::zeros({1}, DType::S32)) {
  if (learned_count() > 0) {
    learned_.value = Tensor::zeros({static_cast<std::int64_t>(learned_count())}, DType::F32);
  }
  if (const MinMax initial = rule_->initial(); !initial.empty()) {
    set_range(initial);
    begin_learning(initial, {});
  }
}

MinMax FakeQuant::range() const {
  settle();
  return is_learning() ? learned_range() : MinMax{min_.data<float>()[0], max_.data<float>()[0]};
}

void FakeQuant::observe(const MinMax& batch, std::int64_t examples, const ValuesOf& values) {
  check(examples > 0, "observe: expected a batch of at least 1 example, got ", examples);
  if (is_frozen() || is_learning()) {
    return;
  }
  if (batch.empty()) {
    saw_no_finite_value_ = true;
    return;
  }
  if (rule_->needs() == RangeNeeds::Values) {
    check(values != nullptr, "observe: the range rule '", to_text(config_.range),
          "' needs values, and this module gives their range alone; give it min-max or moving-average");
    show(*rule_, batch, values().data<float>());
  } else {
    rule_->begin(batch);
  }
  if (is_calibrating() && rule_->may_wait()) {
    awaiting_ = {batch, examples};
    return;
  }
  const MinMax observed = rule_->observe(range(), batch, examples);
  set_range(observed);
  begin_learning(observed, values);
}

void FakeQuant::settle() const {
  if (const std::optional<Awaiting> last = std::exchange(awaiting_, std::nullopt)) {
    set_range(rule_->observe({min_.data<float>()[0], max_.data<float>()[0]}, last->batch, last->examples));
  }
}

void FakeQuant::observe(const Tensor& values, std::int64_t examples) {
  observe(kernels::min_max(values.data<float>()), examples, [&] { return values; });
}

bool FakeQuant::widen(const MinMax& seen) {
  check(!is_frozen(), "widen: the quantizer is frozen");
  if (!rule_->may_widen() || is_learning()) {
    return false;
  }
  MinMax joined = range();
  joined.include(seen);
  set_range(joined);
  return true;
}

void FakeQuant::set_range(const MinMax& range) const { set_map(range, config_.map_of(range)); }

void FakeQuant::set_map(const MinMax& range, ScaleZero map) const {
  min_.data<float>()[0] = range.min;
  max_.data<float>()[0] = range.max;
  scale_.data<float>()[0] = map.scale;
  zero_point_.data<std::int32_t>()[0] = map.zero_point;
}

bool FakeQuant::has_begun() const {
  const float min = min_.data<float>()[0], max = max_.data<float>()[0];
  return min <= max && (min < 0.0F || max > 0.0F);
}

void FakeQuant::begin_learning(const MinMax& observed, const ValuesOf& values) {
  if (learned_count() == 0 || !is_observing() || !has_begun()) {
    return;
  }
  ScaleZero map = config_.map_of(observed);
  if (values != nullptr && !config_.range.is_said()) {
    const double mean = kernels::mean_magnitude(values().data<float>());
    map.scale = mean > 0.0 ? gradient_->first_scale(map, mean, codes()) : map.scale;
  }
  std::ranges::copy(gradient_->numbers_of(map, codes()), learned_.value.data<float>().begin());
  zero_point_.data<std::int32_t>()[0] = map.zero_point;
}

ScaleZero FakeQuant::learned_map() const {
  return gradient_->map_of(learned_.value.data<float>(), zero_point_.data<std::int32_t>()[0], codes());
}

MinMax FakeQuant::learned_range() const {
  const ScaleZero map = learned_map();
  return {dequantize(codes().qmin, map), dequantize(codes().qmax, map)};
}

void FakeQuant::store_learned() {
  if (is_learning()) {
    set_map(learned_range(), learned_map());
  }
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
  return is_learning() ? learned_map() : ScaleZero{scale_.data<float>()[0], zero_point_.data<std::int32_t>()[0]};
}

std::shared_ptr<const QParams> FakeQuant::qparams() const {
  return std::make_shared<const QParams>(QParams::per_tensor(map(), codes()));
}

void FakeQuant::freeze() {
  check_range("freeze");
  store_learned();
  state_ = State::Frozen;
}

void FakeQuant::thaw() {
  check(!is_calibrating(), "thaw: a calibrating quantizer is not frozen");
  state_ = State::Observing;
}

std::vector<nn::Slot> FakeQuant::slots() {
  settle();
  store_learned();
  const Shape one{1};
  std::vector<nn::Slot> slots{{"output_min", &min_, nullptr, one},
                              {"output_max", &max_, nullptr, one},
                              {"output_scale", &scale_, nullptr, one},
                              {"output_zero_point", &zero_point_, nullptr, one, DType::S32}};
  if (learned_count() > 0) {
    slots.push_back({"output_learned", &learned_.value, &learned_, learned_.value.shape()});
  } else if (!is_frozen()) {
    for (nn::Slot slot : rule_->slots()) {
      slot.name = "output_" + slot.name;
      slot.is_optional = true;
      slots.push_back(std::move(slot));
    }
  }
  return slots;
}

void FakeQuant::check_loaded() {
  for (const Tensor* const extreme : {&min_, &max_}) {
    const float value = extreme->data<float>()[0];
    check(std::isfinite(value), "quantize: expected a range of finite numbers, got ", value);
  }
  rule_->check_loaded();
  if (is_learning()) {
    learned_map();
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
