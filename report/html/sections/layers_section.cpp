#include <fmt/format.h>

#include <algorithm>

#include "detent/evaluation/compare.h"
#include "detent/report/html/charts/charts.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr double kMostDb = 60.0;         // where the bars end
constexpr std::size_t kFirstLayers = 6;  // whose histograms are shown unasked

std::string about_histograms(const Json& layers) {
  return fmt::format(
      "Bars are as high as the square root of the count. Below them stand the levels of the quantizer; the range that "
      "they cover is shaded. Weights are counted as the codes that ship, activations as the {} model has them.",
      text(layers, "against") == "int8" ? "int8" : "float");
}

// With QAT the weights were trained on, so that layers differ by more than their rounding: none is an alarm then.
std::string error_table(const Json& metrics) {
  const Json& layers = member(metrics, "layers");
  const bool is_qat = text(metrics, "int8.method") == "qat";
  if (text(layers, "against") == "int8") {
    return "";
  }
  const auto examples = number(layers, "examples");
  Table table("Error by layer: int8 against float" + (examples ? ", " + plural(*examples, "test example") : ""),
              {"Layer", "|Operation", "Signal to noise", "", "Mean difference", "Cosine", "At the range's end"});
  for (const Json& layer : list(layers, "rows")) {
    const auto snr = number(layer, "snr_db");
    const auto mean = number(layer, "mean_difference"), cosine = number(layer, "cosine");
    const auto saturated = number(layer, "saturated");
    if (!mean) {
      continue;
    }
    const bool is_low = !is_qat && snr && *snr < evaluation::kAgreementDb;
    const std::string cell = snr ? fmt::format("{:.1f}\u00a0dB", *snr) : "equal";
    table.add({escaped(text(layer, "name").value_or("")), escaped(text(layer, "kind").value_or("")),
               is_low ? "<span class=\"warn-text\">" + cell + "</span>" : cell, bar(snr ? *snr / kMostDb : 1.0, is_low),
               fmt::format("{:.3g}", *mean), cosine ? fmt::format("{:.5f}", *cosine) : "",
               saturated ? percent(*saturated) : ""});
  }
  const std::string note =
      is_qat ? "QAT trained on from the float model, so the difference is of training and of rounding together."
             : fmt::format("A layer below {} dB, an error of a tenth, is orange.", evaluation::kAgreementDb);
  return table.empty() ? ""
                       : table.html() + fmt::format("<p class=\"note\">{} The bars end at {} dB.</p>\n", note, kMostDb);
}

std::optional<Grid> grid_of(const Json& grid) {
  const auto scale = number(grid, "scale"), zero = number(grid, "zero_point");
  const auto qmin = number(grid, "qmin"), qmax = number(grid, "qmax");
  if (!scale || !zero || !qmin || !qmax || *scale <= 0.0 || *qmax < *qmin || *qmax - *qmin > 65535.0) {
    return std::nullopt;
  }
  return Grid{
      .first = *scale * (*qmin - *zero), .step = *scale, .levels = static_cast<std::int64_t>(*qmax - *qmin) + 1};
}

std::string levels_text(const Histogram& histogram) {
  const std::int64_t every = drawn_every(histogram);
  return fmt::format("{} levels{}", histogram.grid->levels, every > 1 ? fmt::format(", one in {} drawn", every) : "");
}

std::string activations_figure(const Json& layer) {
  const auto lower = number(layer, "values.lower"), width = number(layer, "values.width");
  if (!lower || !width) {
    return "";
  }
  Histogram histogram{.title = text(layer, "name").value_or("") + ": activations",
                      .x_label = "value",
                      .lower = *lower,
                      .width = *width,
                      .counts = numbers(layer, "values.counts"),
                      .grid = grid_of(member(layer, "grid"))};
  const auto total = number(layer, "values.total"), zeros = number(layer, "values.zeros");
  std::string what = histogram.grid ? levels_text(histogram) + fmt::format(", a step is {:.3g}", histogram.grid->step)
                                    : std::string("no grid: it stays in float");
  if (total && zeros && *total > 0.0 && *zeros > 0.0) {
    what += fmt::format("; {} are 0, and in no bar", percent(*zeros / *total));
  }
  histogram.description = "How often values occur, and the int8 model's levels. " + what;
  return figure(histogram.title, what, to_html(histogram));
}

std::string weights_figure(const Json& layer) {
  const Json& weights = member(layer, "weights");
  const auto qmin = number(weights, "qmin"), qmax = number(weights, "qmax"), wide = number(weights, "codes_a_bar");
  const std::vector<double> scale = numbers(weights, "scale");
  if (!qmin || !qmax || !wide || *qmax < *qmin || *qmax - *qmin > 65535.0) {
    return "";
  }
  Histogram histogram{
      .title = text(layer, "name").value_or("") + ": weights",
      .x_label = "code",
      .lower = *qmin - 0.5,
      .width = *wide,
      .counts = numbers(weights, "counts"),
      .grid = Grid{.first = *qmin, .step = 1.0, .levels = static_cast<std::int64_t>(*qmax - *qmin) + 1}};
  std::string what = levels_text(histogram);
  if (scale.size() == 2) {
    const bool is_one = scale[0] == scale[1];
    what += fmt::format(", a step is {:.3g}{}", scale[0], is_one ? "" : fmt::format(" to {:.3g}", scale[1]));
  }
  if (const auto granularity = text(weights, "granularity")) {
    what += ", one scale a " + *granularity;
  }
  histogram.description = "How often the codes of the shipped weights occur. " + what;
  return figure(histogram.title, what, to_html(histogram));
}

}  // namespace

std::string layers_section(const Json& metrics) {
  const Json& layers = member(metrics, "layers");
  std::string first, others;
  std::size_t shown = 0;
  for (const Json& layer : list(layers, "rows")) {
    const std::string figures = weights_figure(layer) + activations_figure(layer);
    if (!figures.empty()) {
      (shown++ < kFirstLayers ? first : others) += "<div class=\"duo\">\n" + figures + "</div>\n";
    }
  }
  std::string content = error_table(metrics);
  if (!first.empty()) {
    content += "<h3 class=\"inner\">Weights and activations on their grids</h3>\n<p class=\"note\">" +
               about_histograms(layers) + "</p>\n" + first;
  }
  if (!others.empty()) {
    content += fmt::format("<details><summary>{} more layers</summary>\n{}</details>\n", shown - kFirstLayers, others);
  }
  return section("layers", "Layer by layer", "", content);
}

}  // namespace detent::report::html
