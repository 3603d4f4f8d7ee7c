#include <fmt/format.h>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string share_text(double share) { return short_number(100.0 * share); }

// The epochs of all phases stand one behind the other; where a phase ends, the next begins.
struct Curve {
  std::vector<std::pair<double, double>> points;
};

Curve curve_of(const Json& metrics, const char* value) {
  Curve curve;
  double epoch = 0.0;
  for (const Json& row : list(metrics, "epochs")) {
    epoch += 1.0;
    if (const auto number_there = number(row, value)) {
      curve.points.emplace_back(epoch, *number_there);
    }
  }
  return curve;
}

// After how many epochs the second phase begins, and what it is called.
std::optional<std::pair<double, std::string>> second_phase(const Json& metrics) {
  const std::vector<Json>& epochs = list(metrics, "epochs");
  for (std::size_t i = 1; i < epochs.size(); ++i) {
    const std::string phase = text(epochs[i], "phase").value_or("");
    if (phase != text(epochs[i - 1], "phase").value_or("")) {
      return std::pair(static_cast<double>(i) + 0.5, phase == "qat" ? "QAT" : phase);
    }
  }
  return std::nullopt;
}

std::string chart(const std::vector<Run>& runs, const std::string& title, const std::string& what, const char* trained,
                  const char* validated, const std::string& y_label, NumberText y_text, bool log_y) {
  LineChart lines{.title = title,
                  .description = what,
                  .x_label = "epoch",
                  .y_label = y_label,
                  .log_y = log_y,
                  .has_whole_x = true,
                  .x_text = short_number,
                  .y_text = y_text};
  const bool is_one = runs.size() == 1;
  for (const Run& run : runs) {
    for (const auto& [value, name] : {std::pair(trained, "training"), std::pair(validated, "validation")}) {
      if (Curve curve = curve_of(run.metrics, value); !curve.points.empty()) {
        lines.series.push_back({.name = is_one ? name : run.name + (value == trained ? "" : ", validation"),
                                .points = std::move(curve.points),
                                .look = lines.series.size()});
      }
    }
  }
  if (const auto phase = is_one ? second_phase(runs[0].metrics) : std::nullopt) {
    lines.mark = phase->first;
    lines.mark_label = phase->second;
  }
  return figure(title, what, to_html(lines));
}

}  // namespace

std::string training_section(const std::vector<Run>& runs) {
  const bool is_r2 = !runs.empty() && facts_of(runs.front().metrics).is_r2;
  const std::string charts = chart(runs, "Loss", "Mean over the examples of an epoch; logarithmic.", "loss",
                                   "validation_loss", "loss", short_number, true) +
                             (is_r2 ? chart(runs, "R\u00b2", "Of the examples of an epoch.", "accuracy",
                                            "validation_accuracy", "R\u00b2", short_number, false)
                                    : chart(runs, "Accuracy", "Share of the examples of an epoch that were right.",
                                            "accuracy", "validation_accuracy", "%", share_text, false));
  return section("training", "Training", "",
                 charts.empty() ? "" : "<div class=\"cards wide\">\n" + charts + "</div>\n");
}

}  // namespace detent::report::html
