#include "detent/quant/quantizers/measure.h"

#include <algorithm>
#include <cmath>

#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {
namespace {

// A pass for which the smallest and largest code of each channel are to be known.
void add_channels_to(Measured& measured, const Tensor& codes) {
  const Shape& shape = codes.shape();
  const std::size_t channels = shape.rank() < 2 ? 1 : static_cast<std::size_t>(shape[shape.rank() - 1]);
  std::vector<std::uint8_t> lowest(channels, 255);
  std::vector<std::uint8_t> highest(channels, 0);
  const std::span<const std::uint8_t> all = codes.data<std::uint8_t>();
  for (std::size_t row = 0; row < all.size(); row += channels) {
    for (std::size_t c = 0; c < channels; ++c) {
      lowest[c] = std::min(lowest[c], all[row + c]);
      highest[c] = std::max(highest[c], all[row + c]);
    }
  }
  measured.channel_codes.resize(channels);
  for (std::size_t c = 0; c < channels && !all.empty(); ++c) {
    measured.channel_codes[c].include({static_cast<float>(lowest[c]), static_cast<float>(highest[c])});
  }
}

// A channel whose every code is that of 0 is always 0.
ChannelReport channels_of(const FakeQuant& output, const Measured& measured) {
  std::vector<float> magnitudes;
  for (const MinMax& codes : measured.channel_codes) {
    const auto zero_point = static_cast<float>(output.map().zero_point);
    magnitudes.push_back(output.map().scale *
                         std::max(std::abs(codes.min - zero_point), std::abs(codes.max - zero_point)));
  }
  return channel_report(magnitudes);
}

template <typename Fn>
void for_each_quantizer(const nn::Graph& graph, Fn&& fn) {
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
      fn(node, quantized->output());
    }
  }
}

}  // namespace

void set_measuring(nn::Graph& prepared, bool on) {
  for_each_quantizer(prepared, [on](const nn::Graph::Node& node, FakeQuant& output) {
    output.check_range(node.name);
    check(!output.is_calibrating(), node.name,
          ": it computes with real numbers; freeze the observers before measuring");
    output.set_measuring(on);
  });
}

std::vector<std::pair<std::string, MinMax>> ranges_of(const nn::Graph& prepared) {
  std::vector<std::pair<std::string, MinMax>> ranges;
  for_each_quantizer(prepared, [&](const nn::Graph::Node& node, const FakeQuant& output) {
    ranges.emplace_back(node.name, output.range());
  });
  return ranges;
}

std::vector<RangeReport> range_reports(const nn::Graph& prepared) {
  std::vector<RangeReport> reports;
  for_each_quantizer(prepared, [&](const nn::Graph::Node& node, FakeQuant& output) {
    RangeReport report{.name = node.name,
                       .range = output.range(),
                       .is_learned = output.is_learned(),
                       .measured = output.measured()};
    if (!report.measured.channel_codes.empty()) {
      report.channels = channels_of(output, report.measured);
    }
    if (const auto* const product = dynamic_cast<const QatProduct*>(node.module.get())) {
      report.is_product = true;
      report.weights = weight_channels(*node.module).value_or(ChannelReport());
      report.shares_weight_scale = product->settings().qconfig.weight.is_per_tensor();
    }
    reports.push_back(std::move(report));
  });
  return reports;
}

int widen_clipped(nn::Graph& prepared, double share) {
  int count = 0;
  for_each_quantizer(prepared, [&](const nn::Graph::Node&, FakeQuant& output) {
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
  add_channels_to(measured, codes);
}

std::int64_t count_other_than(const Tensor& codes, std::int32_t code) {
  const std::span<const std::uint8_t> all = codes.data<std::uint8_t>();
  return static_cast<std::int64_t>(all.size()) - std::ranges::count(all, static_cast<std::uint8_t>(code));
}

}  // namespace detent::quant
