#include "detent/report/ranges_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace detent::report {
namespace {

std::string channels_text(const quant::ChannelReport& channels) {
  return fmt::format("{:>10}{:>10}{:>10}{:>16.1f}", channels.count, channels.dead.size(), channels.outliers.size(),
                     channels.ratio());
}

const std::string kChannelsHead =
    fmt::format("{:>10}{:>10}{:>10}{:>16}", "channels", "always 0", "outliers", "largest/median");

}  // namespace

std::string ranges_table(const std::vector<quant::RangeReport>& ranges) {
  std::size_t width = 9;
  for (const quant::RangeReport& report : ranges) {
    width = std::max(width, report.name.size());
  }
  std::string text = fmt::format("{:<{}}{:>24}{:>10}{}\n", "quantizer", width, "range", "clipped", kChannelsHead);
  for (const quant::RangeReport& report : ranges) {
    text += fmt::format("{:<{}}{:>24}{:>8.2f} %{}\n", report.name, width,
                        fmt::format("[{:.4g}, {:.4g}]", report.range.min, report.range.max),
                        100.0 * report.measured.clipped_share(), channels_text(report.channels));
  }
  return text;
}

std::string weight_table(const std::vector<std::pair<std::string, quant::ChannelReport>>& layers) {
  std::size_t width = 7;
  for (const auto& [name, channels] : layers) {
    width = std::max(width, name.size());
  }
  std::string text = fmt::format("{:<{}}{}\n", "weights", width, kChannelsHead);
  for (const auto& [name, channels] : layers) {
    text += fmt::format("{:<{}}{}\n", name, width, channels_text(channels));
  }
  return text;
}

}  // namespace detent::report
