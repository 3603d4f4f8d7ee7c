#include "detent/report/html/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "detent/core/error.h"
#include "detent/report/html/style.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

// What stands between the title of the window and the end of the header.
std::string opening(const std::string& title, const std::string& eyebrow, const std::string& heading,
                    const std::string& meta) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n<title>{}</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<style>{}</style>\n</head>\n<body>\n<div class=\"wrap\">\n<header>\n"
      "<p class=\"eyebrow\">{}</p>\n<h1>{}</h1>\n<p class=\"meta\">{}</p>\n</header>\n<main>\n",
      escaped(title), kStyle, escaped(eyebrow), heading, escaped(meta));
}

const char* const kClosing =
    "</main>\n<footer>Made by Detent from metrics.json. The page holds all that it shows and asks for "
    "nothing.</footer>\n"
    "</div>\n</body>\n</html>\n";

// Links to the sections that are there.
std::string navigation(const std::string& sections) {
  static const std::vector<std::pair<std::string, std::string>> kLinks{
      {"models", "Models"}, {"changes", "What changed"}, {"confusion", "Confusion"}, {"layers", "Layers"},
      {"speed", "Speed"},   {"training", "Training"},    {"model", "Network"},       {"repeat", "Run it again"}};
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
                               layers_section(run.metrics) + speed_section(run.metrics) + training_section({run}) +
                               network_section(run.metrics) + repeat_section(run.metrics);
  const std::string heading =
      escaped(facts.recipe) + (facts.dataset.empty() ? "" : " <small>on " + escaped(facts.dataset) + "</small>");
  return opening(facts.recipe + ": " + headline(facts.verdict), "Detent run report", heading, meta_of(run.metrics)) +
         verdict_section(facts) + navigation(sections) + sections + kClosing;
}

std::string page_of_several(const std::vector<Run>& runs) {
  std::string meta;
  const auto safe =
      std::ranges::count_if(runs, [](const Run& run) { return facts_of(run.metrics).verdict == Verdict::Safe; });
  meta = fmt::format("{} of {} are safe to ship", safe, runs.size());
  return opening(fmt::format("{} runs", runs.size()), "Detent run report",
                 fmt::format("{} runs <small>side by side</small>", runs.size()), meta) +
         comparison_section(runs) + kClosing;
}

}  // namespace

std::string page(const std::vector<Run>& runs) {
  check(!runs.empty(), "report: there is no run to tell of");
  return runs.size() == 1 ? page_of_one(runs[0]) : page_of_several(runs);
}

}  // namespace detent::report::html
