#include "detent/report/html/drift_page.h"

#include "detent/report/html/frame.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string words_of(const Json& drift, bool has_failed) {
  const std::string first = first_to_leave(drift);
  return (!first.empty() ? first : has_failed ? "A value" : "Nothing") + " left its range";
}

}  // namespace

std::string drift_page(const Json& drift, const std::string& command) {
  const std::vector<std::string> failures = texts(drift, "verdict.failures");
  const std::string model = text(drift, "model").value_or("model"), kind = text(drift, "kind").value_or("");
  const std::string words = words_of(drift, !failures.empty());
  return framed_page({.title = model + ": " + words,
                      .eyebrow = "Detent drift report",
                      .heading = escaped(model) + (kind.empty() ? "" : " <small>" + escaped(kind) + "</small>"),
                      .meta = "on " + text(drift, "data").value_or("new data"),
                      .source = "what detent monitor measured"},
                     verdict_box(failures.empty() ? Verdict::Safe : Verdict::NotSafe, words, drift_sentence(drift)) +
                         verdict_lists(failures, texts(drift, "verdict.bounds"), {}) +
                         drift_section(drift, "new data") +
                         section("repeat", "Run it again", "", "<pre><code>" + escaped(command) + "</code></pre>\n"));
}

}  // namespace detent::report::html
