#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr std::size_t kShown = 6;  // pictures that are shown unasked, or more of values that are not stable
constexpr std::size_t kMostShown = 12;
constexpr double kChanceShown = 0.1;  // of a stability index

std::string label_of(const Json& value) {
  const auto feature = text(value, "feature");
  return text(value, "value").value_or("") + (feature ? " '" + *feature + "'" : "");
}

std::string state_of(const Json& value) { return text(value, "state").value_or(""); }

std::string number_text(const std::optional<double>& number) {
  return number ? fmt::format("{:.4f}", *number) : std::string();
}

std::string percent_text(const std::optional<double>& share) { return share ? percent(*share) : std::string(); }

std::string table_of(const Json& drift, const std::string& live) {
  const auto examples = number(drift, "examples"), reference = number(drift, "reference_examples");
  Table table(examples && reference ? plural(*examples, "example") + " of the " + live + " against " +
                                          count_text(*reference) + " of the training data"
                                    : "The " + live + " against the training data",
              {"Value", "|State", "PSI", "K-S", "Mean shift", "Never seen", "Saturated in training", "Saturated now"});
  for (const Json& value : list(drift, "values")) {
    const auto shift = number(value, "mean_shift");
    const std::string state = escaped(state_of(value));
    table.add({escaped(label_of(value)),
               state == "left its range" ? "<span class=\"warn-text\">" + state + "</span>" : state,
               number_text(number(value, "psi")), number_text(number(value, "ks")),
               shift ? points(*shift) : std::string(), percent_text(number(value, "unseen")),
               percent_text(number(value, "saturated_before")), percent_text(number(value, "saturated"))});
  }
  return table.empty() ? "" : table.html();
}

std::string picture_of(const Json& value, const std::string& live) {
  const std::string label = label_of(value);
  const bool are_codes = text(value, "type") == "codes";
  const std::string what = fmt::format("PSI {}, K-S {}: {}", number_text(number(value, "psi")),
                                       number_text(number(value, "ks")), state_of(value));
  return figure(label, what,
                to_html(BinShares{.title = label + ": training data and " + live,
                                  .description = "Shares of values by bin. " + what,
                                  .x_label = are_codes ? "code" : "value",
                                  .bounds = numbers(value, "bins.bounds"),
                                  .before = numbers(value, "bins.before"),
                                  .now = numbers(value, "bins.now")}));
}

std::string pictures_of(const Json& drift, const std::string& live) {
  std::string first, others;
  std::size_t shown = 0, hidden = 0, at = 0;
  for (const Json& value : list(drift, "values")) {
    const bool is_shown = at++ < kShown || (state_of(value) != "stable" && shown < kMostShown);
    const std::string picture = picture_of(value, live);
    (is_shown ? first : others) += picture;
    (is_shown ? shown : hidden) += picture.empty() ? 0 : 1;
  }
  if (first.empty()) {
    return "";
  }
  const std::string legend = fmt::format(
      "<ul class=\"legend\"><li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\"><path class=\"then\" "
      "d=\"M4 12v-10h16v10z\"/></svg>training data</li><li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\"><path "
      "class=\"now\" d=\"M1 9h8v-6h14\"/></svg>{}</li><li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\"><path "
      "class=\"beyond\" d=\"M4 12v-10h16v10z\"/></svg>never seen in training</li></ul>\n",
      escaped(live));
  return "<h3 class=\"inner\">How values lie</h3>\n" + legend + "<div class=\"cards\">\n" + first + "</div>\n" +
         (others.empty() ? ""
                         : fmt::format("<details><summary>{} more values</summary>\n<div class=\"cards\">\n{}</div>"
                                       "</details>\n",
                                       hidden, others)) +
         "<p class=\"note\">Bins hold about equal shares of the training data; where one value fills a bin, as 0 after "
         "a ReLU, it has one of its own. Numbers stand at the upper end of a bin. Bars are as high as the square root "
         "of the share; what training reached is shaded. Inputs are as the model takes them: normalized.</p>\n";
}

// Where bounds may have been widened.
std::string chance_of(const Json& drift) {
  double psi = 0.0, ks = 0.0;
  for (const Json& value : list(drift, "values")) {
    psi = std::max(psi, number(value, "psi_by_chance").value_or(0.0));
    ks = std::max(ks, number(value, "ks_by_chance").value_or(0.0));
  }
  return psi < kChanceShown ? ""
                            : fmt::format(
                                  " The examples are few: chance alone gives up to PSI {:.2f} and K-S {:.2f}, "
                                  "and no bound is smaller.",
                                  psi, ks);
}

}  // namespace

std::string first_to_leave(const Json& drift) {
  const std::vector<Json>& values = list(drift, "values");
  const auto found = std::ranges::find(values, "left its range", state_of);
  return found == values.end() ? "" : label_of(*found);
}

std::string drift_sentence(const Json& drift) {
  std::size_t left = 0, moved = 0;
  std::string first_moved;
  const std::vector<Json>& values = list(drift, "values");
  for (const Json& value : values) {
    left += state_of(value) == "left its range" ? 1 : 0;
    if (state_of(value) == "moved" && moved++ == 0) {
      first_moved = label_of(value);
    }
  }
  if (left > 0) {
    return fmt::format("{} of {} left {} range; the first, as the model runs, is {}.", left,
                       plural(static_cast<double>(values.size()), "value"), left == 1 ? "its" : "their",
                       first_to_leave(drift));
  }
  return moved > 0 ? fmt::format("{} of {} moved, within the bounds; the first, as the model runs, is {}.", moved,
                                 plural(static_cast<double>(values.size()), "value"), first_moved)
                   : "All values are spread as on the training data.";
}

std::string drift_section(const Json& drift, const std::string& live) {
  const std::string table = table_of(drift, live);
  return section("drift", "Drift",
                 "Whether inputs, and what each layer makes of them, still lie as on the training data.",
                 table.empty() ? ""
                               : table + "<p class=\"note\">" + escaped(drift_sentence(drift) + chance_of(drift)) +
                                     " PSI, the population stability index, is 0 where nothing differs; from 0.1 on a "
                                     "value has moved. K-S is the largest difference of the cumulative shares, mean "
                                     "shift is in standard deviations, saturated are codes at either end.</p>\n" +
                                     pictures_of(drift, live));
}

}  // namespace detent::report::html
