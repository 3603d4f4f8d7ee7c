#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/flips.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string interval_text(const std::vector<double>& ends) {
  return ends.size() == 2 ? fmt::format("{} to {}", points(ends[0]), points(ends[1])) : std::string();
}

std::string pairs_table(const Json& metrics) {
  Table table("Pairs of models on the same test examples",
              {"From", "|To", "Accuracy", "Becomes", "Points", "95\u00a0% interval", "McNemar p", "Lost", "Won"});
  for (const Json& pair : list(metrics, "evidence.pairs")) {
    if (number(pair, "error_a")) {
      continue;
    }
    const auto before = number(pair, "accuracy_a"), after = number(pair, "accuracy_b");
    const auto change = number(pair, "points");
    const auto p = number(pair, "mcnemar_p");
    const auto lost = number(pair, "a_only"), won = number(pair, "b_only");
    table.add({escaped(model_name(text(pair, "a").value_or("?"))), escaped(model_name(text(pair, "b").value_or("?"))),
               before ? percent(*before) : "", after ? percent(*after) : "", change ? points(*change) : "",
               interval_text(numbers(pair, "interval")), p ? fmt::format("{:.2g}", *p) : "",
               lost ? count_text(*lost) : "", won ? count_text(*won) : ""});
  }
  return table.empty() ? ""
                       : table.html() +
                             "<p class=\"note\">Lost: right in the first model alone. Won: right in the second alone. "
                             "McNemar's p is how often a fair coin would be so uneven.</p>\n";
}

std::string slices_table(const Json& pair) {
  std::vector<const Json*> slices;
  for (const Json& slice : list(pair, "slices")) {
    if (number(slice, "points")) {
      slices.push_back(&slice);
    }
  }
  // Of what changed alike, first where least is right now.
  std::ranges::stable_sort(slices, {}, [](const Json* slice) {
    return std::pair(*number(*slice, "points"), number(*slice, "accuracy_b").value_or(0.0));
  });
  double reach = 0.0;
  for (const Json* const slice : slices) {
    reach = std::max(reach, std::abs(*number(*slice, "points")));
  }
  const std::size_t shown = std::min(slices.size(), kMostSlices);
  const std::string a = escaped(model_name(text(pair, "a").value_or("before")));
  const std::string b = escaped(model_name(text(pair, "b").value_or("after")));
  Table table("Accuracy by slice of the test set, from the worst change",
              {"Slice", "Examples", a, b, "Points", "95\u00a0% interval", "Change, and its interval"});
  for (std::size_t i = 0; i < shown; ++i) {
    const Json& slice = *slices[i];
    const auto examples = number(slice, "examples");
    const auto before = number(slice, "accuracy_a"), after = number(slice, "accuracy_b");
    const std::vector<double> ends = numbers(slice, "interval");
    std::optional<std::pair<double, double>> interval;
    if (ends.size() == 2) {
      interval = {ends[0], ends[1]};
    }
    const double change = *number(slice, "points");
    const bool is_worse = interval && interval->second < 0.0;
    const std::string cell = points(change);
    table.add({escaped(text(slice, "slice").value_or("")), examples ? count_text(*examples) : "",
               before ? percent(*before) : "", after ? percent(*after) : "",
               is_worse ? "<span class=\"warn-text\">" + cell + "</span>" : cell, interval_text(ends),
               whisker(change, interval, 1.5 * reach)});
  }
  if (table.empty()) {
    return "";
  }
  return table.html() + "<p class=\"note\">Orange: the whole interval is below 0, so the slice became worse." +
         (slices.size() > shown ? fmt::format(" {} more slices are in metrics.json.", slices.size() - shown) : "") +
         "</p>\n";
}

// A class by its name, where the run gives names.
std::string class_of(const Json& metrics, const Json& flip, const char* member_name) {
  const std::vector<std::string> names = texts(metrics, "class_names");
  const auto place = number(flip, member_name);
  return place && *place >= 0.0 && *place < static_cast<double>(names.size()) ? names[static_cast<std::size_t>(*place)]
                                                                              : text(flip, member_name).value_or("?");
}

std::string gallery_item(const Json& metrics, const Json& flip, const std::string& a, const std::string& b,
                         const std::map<std::int64_t, std::string>& pictures) {
  const double index = number(flip, "index").value_or(-1.0);
  const std::string label = class_of(metrics, flip, "label");
  const std::string before = class_of(metrics, flip, "a"), after = class_of(metrics, flip, "b");
  std::string picture;
  if (index >= 0.0 && index < 9e15) {
    if (const auto found = pictures.find(static_cast<std::int64_t>(index)); found != pictures.end()) {
      picture = fmt::format("<img src=\"{}\" alt=\"test image {}, of class {}\">", escaped(found->second),
                            count_text(index), escaped(label));
    }
  }
  const char* const what = label == before ? "lost" : label == after ? "won" : "wrong in both";
  std::string margins;
  if (const auto first = number(flip, "margin_a"), second = number(flip, "margin_b"); first && second) {
    margins = fmt::format("<br><span class=\"sub\">margins {:.2f}, {:.2f}</span>", *first, *second);
  }
  return fmt::format("<li>{}<b>{} is {}</b><br>{}: {}<br>{}: {}<br><span class=\"{}\">{}</span>{}</li>\n", picture,
                     index >= 0.0 ? "#" + count_text(index) : "one", escaped(label), a, escaped(before), b,
                     escaped(after), label == before ? "warn-text" : "sub", what, margins);
}

std::string gallery(const Run& run) {
  const Json* const pair = gallery_pair(run.metrics);
  if (pair == nullptr) {
    return "";
  }
  const std::vector<const Json*> flips = shown_flips(*pair);
  if (flips.empty()) {
    return "";
  }
  const std::string a = escaped(model_name(text(*pair, "a").value_or("before")));
  const std::string b = escaped(model_name(text(*pair, "b").value_or("after")));
  std::string items;
  for (const Json* const flip : flips) {
    items += gallery_item(run.metrics, *flip, a, b, run.pictures);
  }
  const double all = number(*pair, "predictions_changed").value_or(static_cast<double>(list(*pair, "flips").size()));
  const bool are_all = all <= static_cast<double>(flips.size());
  return fmt::format("<h3 class=\"inner\">Predictions that flipped{}</h3>\n<ul class=\"gallery\">\n{}</ul>\n",
                     are_all ? "" : fmt::format(": {} of {}", flips.size(), count_text(all)), items) +
         "<p class=\"note\">Margin: the probability of the prediction, less that of the next class." +
         (are_all ? "" : " flips.csv in the run's folder has all flips.") + "</p>\n";
}

}  // namespace

std::string changes_section(const Run& run) {
  const Json* const pair = gallery_pair(run.metrics);
  return section("changes", "What changed", "The same test examples through both models.",
                 pairs_table(run.metrics) + (pair == nullptr ? "" : slices_table(*pair)) +
                     error_changes(run.metrics, pair) + gallery(run));
}

std::string confusion_section(const Json& metrics) {
  const Json& models = member(metrics, "evidence.models");
  std::string maps;
  if (models.is_object()) {
    for (const auto& [key, model] : models.items()) {
      HeatMap map{.title = "Confusion of " + model_name(key),
                  .description = "Counts of test examples by their class and by the prediction.",
                  .row_label = "class",
                  .column_label = "prediction",
                  .names = texts(metrics, "class_names")};
      for (const Json& row : list(model, "confusion")) {
        std::vector<double> counts;
        for (const Json& count : row) {
          counts.push_back(count.is_number() ? count.get<double>() : 0.0);
        }
        map.counts.push_back(std::move(counts));
      }
      for (std::size_t i = map.names.size(); i < map.counts.size(); ++i) {
        map.names.push_back(std::to_string(i));
      }
      maps += figure(map.title, "", to_html(map));
    }
  }
  return section("confusion", "Confusion", "Rows are classes, columns predictions. Mistakes are orange.",
                 maps.empty() ? "" : "<div class=\"cards\">\n" + maps + "</div>\n");
}

}  // namespace detent::report::html
