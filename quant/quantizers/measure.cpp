#include "detent/quant/quantizers/measure.h"

#include <algorithm>

#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {
namespace {

template <typename Fn>
void for_each_quantizer(const nn::Graph& graph, Fn&& fn) {
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
      fn(node.name, quantized->output());
    }
  }
}

}  // namespace

void set_measuring(nn::Graph& prepared, bool on) {
  for_each_quantizer(prepared, [on](const std::string& name, FakeQuant& output) {
    output.check_range(name);
    check(!output.is_calibrating(), name, ": it computes with real numbers; freeze the observers before measuring");
    output.set_measuring(on);
  });
}

std::vector<RangeReport> range_reports(const nn::Graph& prepared) {
  std::vector<RangeReport> reports;
  for_each_quantizer(prepared, [&](const std::string& name, FakeQuant& output) {
    reports.push_back({name, output.range(), output.measured()});
  });
  return reports;
}

int widen_clipped(nn::Graph& prepared, double share) {
  int count = 0;
  for_each_quantizer(prepared, [&](const std::string&, FakeQuant& output) {
    // Within the range only ties beside its ends are clipped, and joining changes nothing.
    const MinMax& seen = output.measured().seen;
    const bool is_beyond = seen.min < output.range().min || seen.max > output.range().max;
    if (is_beyond && output.measured().clipped_share() > share && output.widen(seen)) {
      ++count;
    }
  });
  return count;
}

void add_codes_to(Measured& measured, const MinMax& seen, const Tensor& codes, std::int32_t zero_point) {
  measured.seen.include(seen);
  const auto [lowest, highest] = std::ranges::minmax_element(codes.data<std::uint8_t>());
  measured.codes.include({static_cast<float>(*lowest), static_cast<float>(*highest)});
  measured.nonzero += count_other_than(codes, zero_point);
}

std::int64_t count_other_than(const Tensor& codes, std::int32_t code) {
  const std::span<const std::uint8_t> all = codes.data<std::uint8_t>();
  return static_cast<std::int64_t>(all.size()) - std::ranges::count(all, static_cast<std::uint8_t>(code));
}

}  // namespace detent::quant
