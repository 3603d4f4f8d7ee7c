#include <fmt/format.h>

#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string class_of(Verdict verdict) {
  return verdict == Verdict::Safe        ? ""
         : verdict == Verdict::NotSafe   ? " bad"
         : verdict == Verdict::Unchecked ? " open"
                                         : " plain";
}

std::string badge(Verdict verdict) {
  const char* const sign = verdict == Verdict::Safe      ? "M14 24.5l7 7L34.5 17"
                           : verdict == Verdict::NotSafe ? "M16 16l16 16M32 16L16 32"
                                                         : "M24 14v12M24 33v.5";
  return fmt::format(
      "<svg viewBox=\"0 0 48 48\" aria-hidden=\"true\"><circle class=\"badge-disc\" cx=\"24\" cy=\"24\" "
      "r=\"23\"/><path class=\"badge-sign\" d=\"{}\"/></svg>",
      sign);
}

std::string list_of(const std::string& title, const std::vector<std::string>& lines, const char* sign, bool is_warning,
                    bool is_code) {
  if (lines.empty()) {
    return "";
  }
  std::string items;
  for (const std::string& line : lines) {
    items +=
        fmt::format("<li><span class=\"sign{}\" aria-hidden=\"true\">{}</span><span>{}</span></li>\n",
                    is_warning ? " warn" : "", sign, is_code ? "<code>" + escaped(line) + "</code>" : escaped(line));
  }
  return fmt::format("<div><h3>{}</h3><ul>\n{}</ul></div>\n", escaped(title), items);
}

}  // namespace

std::string verdict_box(Verdict verdict, const std::string& words, const std::string& sentence) {
  return fmt::format("<section class=\"verdict{}\" id=\"verdict\">{}<div><h2>{}</h2><p>{}</p></div></section>\n",
                     class_of(verdict), badge(verdict), escaped(words), escaped(sentence));
}

std::string verdict_lists(const std::vector<std::string>& failures, const std::vector<std::string>& checked,
                          const std::vector<std::string>& warnings) {
  const bool has_failed = !failures.empty();
  const std::string lists = list_of("Failed", failures, "\u2715", true, false) +
                            list_of(has_failed ? "What was checked" : "Checked, and holds", checked,
                                    has_failed ? "\u2022" : "\u2713", false, true) +
                            list_of("Warnings", warnings, "!", true, false);
  return lists.empty() ? "" : "<div class=\"lists\">\n" + lists + "</div>\n";
}

}  // namespace detent::report::html
