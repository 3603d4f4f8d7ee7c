#include "detent/report/html/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "detent/core/error.h"
#include "detent/report/html/frame.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

// Links to the sections that are there.
std::string navigation(const std::string& sections) {
  static const std::vector<std::pair<std::string, std::string>> kLinks{
      {"models", "Models"},     {"changes", "What changed"}, {"confusion", "Confusion"},
      {"layers", "Layers"},     {"drift", "Drift"},          {"speed", "Speed"},
      {"training", "Training"}, {"model", "Network"},        {"repeat", "Run it again"}};
  std::string links;
  for (const auto& [id, name] : kLinks) {
    if (sections.find("<section id=\"" + id + "\">") != std::string::npos) {
      links += fmt::format("<a href=\"#{}\">{}</a>\n", id, name);
    }
  }
  return links.empty() ? "" : "<nav aria-label=\"Sections\">\n" + links + "</nav>\n";
}

std::string meta_of(const Json& metrics) {
  std::string meta = text(metrics, "dataset_description").value_or("");
  const auto add = [&](const std::string& part) { meta += (meta.empty() ? "" : " \u00b7 ") + part; };
  if (const auto seed = text(metrics, "seed")) {
    add("seed " + *seed);
  }
  if (const auto threads = number(metrics, "threads")) {
    add(plural(*threads, "thread"));
  }
  if (const auto seconds = number(metrics, "total_seconds")) {
    add(duration(*seconds));
  }
  return meta;
}

std::string page_of_one(const Run& run) {
  const Facts facts = facts_of(run.metrics);
  const std::string sections = models_section(run.metrics) + changes_section(run) + confusion_section(run.metrics) +
                               layers_section(run.metrics) + drift_section(member(run.metrics, "drift"), "test set") +
                               speed_section(run.metrics) + training_section({run}) + network_section(run.metrics) +
                               repeat_section(run.metrics);
  const std::string heading =
      escaped(facts.recipe) + (facts.dataset.empty() ? "" : " <small>on " + escaped(facts.dataset) + "</small>");
  return framed_page({.title = facts.recipe + ": " + headline(facts.verdict),
                      .eyebrow = "Detent run report",
                      .heading = heading,
                      .meta = meta_of(run.metrics),
                      .source = "metrics.json"},
                     verdict_section(facts) + navigation(sections) + sections);
}

std::string page_of_several(const std::vector<Run>& runs) {
  const auto safe =
      std::ranges::count_if(runs, [](const Run& run) { return facts_of(run.metrics).verdict == Verdict::Safe; });
  const std::string count = fmt::format("{} runs", runs.size());
  return framed_page({.title = count,
                      .eyebrow = "Detent run report",
                      .heading = count + " <small>side by side</small>",
                      .meta = fmt::format("{} of {} are safe to ship", safe, runs.size()),
                      .source = "metrics.json"},
                     comparison_section(runs));
}

}  // namespace

std::string page(const std::vector<Run>& runs) {
  check(!runs.empty(), "report: there is no run to tell of");
  return runs.size() == 1 ? page_of_one(runs[0]) : page_of_several(runs);
}

}  // namespace detent::report::html
