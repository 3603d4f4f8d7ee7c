#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string latency_figure(const Json& models) {
  QuantileStrips strips{.title = "Latency of one example",
                        .description =
                            "The median (disc), 90 % and 99 % (bars) and the maximum of the time that one "
                            "example takes, on a logarithmic axis.",
                        .x_label = "time of one example, logarithmic",
                        .text = milliseconds};
  for (const auto& [name, model] : models.items()) {
    const auto p50 = number(model, "latency_ms.p50"), p90 = number(model, "latency_ms.p90");
    const auto p99 = number(model, "latency_ms.p99"), max = number(model, "latency_ms.max");
    if (p50 && p90 && p99 && max && *p50 > 0.0) {
      strips.rows.push_back({model_name(name), *p50, *p90, *p99, *max});
    }
  }
  return figure(strips.title, "Disc: median. Bars: 90 %, 99 % and the maximum.", to_html(strips));
}

std::string throughput_figure(const Json& models) {
  LineChart chart{.title = "Throughput",
                  .description = "Examples a second by the size of the batch, both logarithmic.",
                  .x_label = "batch",
                  .y_label = "examples/s",
                  .log_x = true,
                  .log_y = true,
                  .x_text = short_number,
                  .y_text = short_number};
  for (const auto& [name, model] : models.items()) {
    Series series{.name = model_name(name), .look = chart.series.size()};
    for (const Json& row : list(model, "throughput")) {
      const auto batch = number(row, "batch"), speed = number(row, "examples_per_second");
      if (batch && speed && *batch > 0.0 && *speed > 0.0) {
        series.points.emplace_back(*batch, *speed);
      }
    }
    if (!series.points.empty()) {
      chart.series.push_back(std::move(series));
    }
  }
  return figure(chart.title, chart.description, to_html(chart));
}

std::string cost_table(const Json& models) {
  Table table("What each model takes", {"Model", "Median", "90\u00a0%", "99\u00a0%", "Maximum", "Parameters", "File",
                                        "Memory at most", "Calibration error"});
  for (const auto& [name, model] : models.items()) {
    const auto cell = [&, &from = model](const char* path, NumberText text) {
      const auto value = number(from, path);
      return value ? text(*value) : std::string();
    };
    table.add({escaped(model_name(name)), cell("latency_ms.p50", milliseconds), cell("latency_ms.p90", milliseconds),
               cell("latency_ms.p99", milliseconds), cell("latency_ms.max", milliseconds),
               cell("parameter_bytes", bytes_text), cell("file_bytes", bytes_text),
               cell("peak_memory_bytes", bytes_text), cell("calibration_error", percent)},
              model_name(name) == "int8");
  }
  return table.empty() ? "" : table.html();
}

std::string float_modules(const Json& models) {
  Table table("Modules that run in float, and why", {"Model", "|Module", "|Why"});
  for (const auto& [name, model] : models.items()) {
    for (const Json& module : list(model, "float_modules")) {
      if (model_name(name) != "float") {
        table.add({escaped(model_name(name)), escaped(text(module, "module").value_or("")),
                   escaped(text(module, "why").value_or(""))});
      }
    }
  }
  return table.empty() ? "" : table.html();
}

}  // namespace

std::string speed_section(const Json& metrics) {
  const Json& models = member(metrics, "evidence.models");
  if (!models.is_object() || models.empty()) {
    return "";
  }
  const std::string figures = latency_figure(models) + throughput_figure(models);
  return section("speed", "Speed and memory", "Measured on the machine of the run.",
                 (figures.empty() ? "" : "<div class=\"cards wide\">\n" + figures + "</div>\n") + cost_table(models) +
                     float_modules(models));
}

}  // namespace detent::report::html
