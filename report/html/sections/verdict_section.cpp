#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string codes_sentence(const Facts& facts) {
  if (!facts.codes || !facts.codes_different) {
    return "";
  }
  if (*facts.codes == 0.0) {
    return "";
  }
  return *facts.codes_different == 0.0
             ? fmt::format(" What was trained is what ships: 0 of {} codes differ{}.", count_text(*facts.codes),
                           facts.examples ? ", on " + plural(*facts.examples, "test example") : "")
             : fmt::format(" {} of {} codes differ between the trained and the converted model.",
                           count_text(*facts.codes_different), count_text(*facts.codes));
}

std::string reason(const Facts& facts) {
  switch (facts.verdict) {
    case Verdict::Safe:
      return (facts.checks == 1.0 ? std::string("The one check passed.")
                                  : fmt::format("All {} checks passed.", count_text(facts.checks))) +
             codes_sentence(facts);
    case Verdict::NotSafe:
      return (facts.failures.empty()
                  ? std::string()
                  : facts.failures.front() +
                        (facts.failures.size() > 1 ? fmt::format("; and {} more.", facts.failures.size() - 1) : ".")) +
             codes_sentence(facts);
    case Verdict::Unchecked:
      return "The recipe sets no thresholds, so nothing says what this model must reach: add a [check] section." +
             codes_sentence(facts);
    case Verdict::Float:
      break;
  }
  return "The recipe quantizes nothing, so there is no int8 model to ship.";
}

std::string tile(const std::string& title, const std::string& big, const std::string& small,
                 const std::string& more = {}, bool is_quiet = false) {
  return fmt::format("<div class=\"tile\"><h3>{}</h3><p class=\"big{}\">{}</p><p>{}</p>{}</div>\n", escaped(title),
                     is_quiet ? " quiet" : "", escaped(big), escaped(small), more);
}

// Two bars, of float and of what ships.
std::string pair_bars(const Facts& facts, double before, double after, NumberText text) {
  const double most = std::max(before, after);
  return fmt::format("<div class=\"pair\"><span>float</span>{}<span>{}</span><span>{}</span>{}<span>{}</span></div>",
                     "<span class=\"bar grey\" aria-hidden=\"true\"><i style=\"width:" +
                         fmt::format("{:.1f}", 100.0 * before / most) + "%\"></i></span>",
                     text(before), escaped(facts.shipped), bar(after / most), text(after));
}

std::string accuracy_tile(const Facts& facts) {
  if (!facts.accuracy_int8) {
    return facts.accuracy_float ? tile("How accurate?", facts.score_text(*facts.accuracy_float),
                                       facts.measure() + " of float, on the test set")
                                : "";
  }
  std::string small = facts.measure() + " of " + facts.shipped + ", on the test set" +
                      (facts.has_float ? "" : "; no float model was trained");
  std::string more;
  if (const auto change = facts.difference()) {
    small = fmt::format("{} {} against float, {}", facts.difference_text(*change), facts.is_r2 ? "R\u00b2" : "points",
                        facts.score_text(*facts.accuracy_float));
    if (facts.interval) {
      more = fmt::format("<p>95\u00a0% interval {} to {}</p>", points(facts.interval->first),
                         points(facts.interval->second));
    }
  }
  return tile("Is it as accurate?", facts.score_text(*facts.accuracy_int8), small, more);
}

std::string size_tile(const Facts& facts) {
  const auto ratio = facts.smaller();
  if (!ratio) {
    return "";
  }
  return tile("How much smaller?", times(*ratio), "file size, float to " + facts.shipped,
              pair_bars(facts, *facts.bytes_float, *facts.bytes_int8, bytes_text));
}

std::string speed_tile(const Facts& facts) {
  const auto ratio = facts.faster();
  if (!ratio && facts.latency_int8) {
    return tile("How fast?", milliseconds(*facts.latency_int8), "median time of one example, " + facts.shipped);
  }
  if (!ratio) {
    return facts.accuracy_int8 ? tile("How much faster?", "not measured",
                                      "detent eval fp32.h5 int8.h5 measures it on this machine", {}, true)
                               : "";
  }
  return tile("How much faster?", times(*ratio), "median time of one example",
              pair_bars(facts, *facts.latency_float, *facts.latency_int8, milliseconds));
}

std::string change_tile(const Facts& facts) {
  if (!facts.accuracy_int8) {
    return "";
  }
  if (facts.error_float && facts.error_int8) {
    return tile(
        "What changed?", signed_number(*facts.error_int8 - *facts.error_float),
        fmt::format("mean error, {:.4g} in float, {:.4g} in {}", *facts.error_float, *facts.error_int8, facts.shipped),
        facts.error_interval
            ? fmt::format("<p>95\u00a0% interval {} to {}</p>", signed_number(facts.error_interval->first),
                          signed_number(facts.error_interval->second))
            : "");
  }
  if (!facts.flips) {
    const auto change = facts.difference();
    if (!change && facts.codes_different) {
      const bool is_same = *facts.codes_different == 0.0;
      return tile(
          "What changed?", is_same ? "nothing" : count_text(*facts.codes_different),
          is_same ? "in every layer the very codes that were trained" : "codes differ between training and what ships");
    }
    return change ? tile("What changed?", facts.difference_text(*change),
                         (facts.is_r2 ? "" : "points of ") + facts.measure() + ", float to " + facts.shipped)
                  : "";
  }
  const std::string of = facts.examples ? "of " + plural(*facts.examples, "prediction") : "predictions";
  std::string more;
  if (facts.lost && facts.won) {
    more = fmt::format("<p>{} right in float alone, {} in {} alone</p>", count_text(*facts.lost),
                       count_text(*facts.won), escaped(facts.shipped));
  }
  return tile("What changed?", count_text(*facts.flips), of + " differ from float", more);
}

}  // namespace

std::string verdict_section(const Facts& facts) {
  return verdict_box(facts.verdict, headline(facts.verdict), reason(facts)) +
         fmt::format("<div class=\"tiles\">\n{}{}{}{}</div>\n", accuracy_tile(facts), size_tile(facts),
                     speed_tile(facts), change_tile(facts)) +
         verdict_lists(facts.failures, facts.checked, facts.warnings);
}

}  // namespace detent::report::html
