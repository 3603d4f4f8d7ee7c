#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string error_text(const std::optional<double>& error) {
  return error ? fmt::format("{:.4g}", *error) : std::string();
}

std::string error_interval(const std::vector<double>& ends) {
  return ends.size() == 2 ? signed_number(ends[0]) + " to " + signed_number(ends[1]) : std::string();
}

// error_a, error_b, change and its interval. An error that grew for sure stands out.
std::vector<std::string> cells_of(const Json& json) {
  const auto change = number(json, "change");
  const std::vector<double> ends = numbers(json, "interval");
  const std::string cell = change ? signed_number(*change) : std::string();
  const bool is_worse = ends.size() == 2 && ends[0] > 0.0;
  return {error_text(number(json, "error_a")), error_text(number(json, "error_b")),
          is_worse ? "<span class=\"warn-text\">" + cell + "</span>" : cell, error_interval(ends)};
}

std::string pairs_of(const Json& metrics) {
  Table table("Mean error of pairs of models on the same test examples",
              {"From", "|To", "Mean error", "Becomes", "Change", "95\u00a0% interval"});
  for (const Json& pair : list(metrics, "evidence.pairs")) {
    if (number(pair, "error_a")) {
      std::vector<std::string> row{escaped(model_name(text(pair, "a").value_or("?"))),
                                   escaped(model_name(text(pair, "b").value_or("?")))};
      std::ranges::move(cells_of(pair), std::back_inserter(row));
      table.add(row);
    }
  }
  return table.empty() ? "" : table.html();
}

std::string slices_of(const Json& pair) {
  std::vector<const Json*> slices;
  for (const Json& slice : list(pair, "slices")) {
    if (number(slice, "error_a") && number(slice, "change")) {
      slices.push_back(&slice);
    }
  }
  std::ranges::stable_sort(slices, std::greater(), [](const Json* slice) { return *number(*slice, "change"); });
  slices.resize(std::min(slices.size(), kMostSlices));
  Table table("Mean error by slice of the test set, from the worst change",
              {"Slice", "Examples", escaped(model_name(text(pair, "a").value_or("before"))),
               escaped(model_name(text(pair, "b").value_or("after"))), "Change", "95\u00a0% interval"});
  for (const Json* const slice : slices) {
    const auto examples = number(*slice, "examples");
    std::vector<std::string> row{escaped(text(*slice, "slice").value_or("")), examples ? count_text(*examples) : ""};
    std::ranges::move(cells_of(*slice), std::back_inserter(row));
    table.add(row);
  }
  return table.empty() ? "" : table.html();
}

}  // namespace

std::string error_changes(const Json& metrics, const Json* pair) {
  const std::string tables = pairs_of(metrics) + (pair == nullptr ? "" : slices_of(*pair));
  return tables.empty() ? ""
                        : tables +
                              "<p class=\"note\">The error of an example is the mean of |output \u2212 target|, or the "
                              "share of its flags that is wrong. Orange: the whole interval is above 0, so the error "
                              "grew.</p>\n";
}

}  // namespace detent::report::html
