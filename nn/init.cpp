#include "detent/nn/init.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "detent/core/threads/parallel.h"

namespace detent::nn {
namespace {

// Numbers are drawn one after the other, which takes seconds where there are very many.
template <typename Draw>
void fill(Tensor& tensor, Draw draw) {
  constexpr std::size_t kAtOnce = std::size_t{1} << 20;
  for (std::span<float> left = tensor.data<float>(); !left.empty();) {
    check_interruption();
    const std::size_t count = std::min(left.size(), kAtOnce);
    std::ranges::generate(left.first(count), draw);
    left = left.subspan(count);
  }
}

void fill_uniform(Tensor& tensor, double bound, RandomStream& random) {
  fill(tensor, [&, b = static_cast<float>(bound)] { return random.uniform(-b, b); });
}

void fill_normal(Tensor& tensor, double deviation, RandomStream& random) {
  fill(tensor, [&, s = static_cast<float>(deviation)] { return s * random.normal(); });
}

}  // namespace

const Names<Init>& init_names() {
  static const Names<Init> names{{"default", Init::Default},
                                 {"kaiming_uniform", Init::KaimingUniform},
                                 {"kaiming_normal", Init::KaimingNormal},
                                 {"xavier_uniform", Init::XavierUniform},
                                 {"xavier_normal", Init::XavierNormal}};
  return names;
}

std::string_view name_of(Init init) { return name_in(init_names(), init); }

Init init_from_name(std::string_view name) {
  for (const auto& [known, init] : init_names()) {
    if (known == name) {
      return init;
    }
  }
  fail("init: expected default, kaiming_uniform, kaiming_normal, xavier_uniform or xavier_normal, got '", name, "'");
}

Fan fan_of(const Shape& weight) {
  check(weight.rank() >= 2, "init: expected weights O I or O KH KW I, got ", weight);
  const std::int64_t in = weight.row_elements();
  const std::int64_t taps = in / weight[weight.rank() - 1];
  return {in, weight[0] * taps};
}

void init_weight(Tensor& weight, Init init, RandomStream& random) {
  const Fan fan = fan_of(weight.shape());
  const auto fan_in = static_cast<double>(fan.in);
  const auto both = static_cast<double>(fan.in + fan.out);
  switch (init) {
    case Init::Default:
      return fill_uniform(weight, 1.0 / std::sqrt(fan_in), random);
    case Init::KaimingUniform:
      return fill_uniform(weight, std::sqrt(6.0 / fan_in), random);
    case Init::KaimingNormal:
      return fill_normal(weight, std::sqrt(2.0 / fan_in), random);
    case Init::XavierUniform:
      return fill_uniform(weight, std::sqrt(6.0 / both), random);
    case Init::XavierNormal:
      return fill_normal(weight, std::sqrt(2.0 / both), random);
  }
}

void init_bias(Tensor& bias, const Shape& weight, Init init, RandomStream& random) {
  if (init == Init::Default) {
    fill_uniform(bias, 1.0 / std::sqrt(static_cast<double>(fan_of(weight).in)), random);
  } else {
    bias.fill_zero();
  }
}

}  // namespace detent::nn
