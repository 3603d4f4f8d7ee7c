#include <fmt/format.h>

#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {

std::string section(const std::string& id, const std::string& title, const std::string& what,
                    const std::string& content) {
  if (content.empty()) {
    return "";
  }
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", id, escaped(title),
                     what.empty() ? "" : "<p>" + escaped(what) + "</p>\n", content);
}

std::string figure(const std::string& title, const std::string& what, const std::string& chart) {
  if (chart.empty()) {
    return "";
  }
  return fmt::format("<figure class=\"card\"><figcaption><h3>{}</h3>{}</figcaption>\n{}</figure>\n", escaped(title),
                     what.empty() ? "" : "<p>" + escaped(what) + "</p>", chart);
}

Table::Table(std::string caption, const std::vector<std::string>& columns) : caption_(std::move(caption)) {
  for (const std::string& column : columns) {
    const bool is_text = column.starts_with('|');
    is_text_.push_back(is_text);
    head_ += fmt::format("<th scope=\"col\"{}>{}</th>", is_text ? " class=\"text\"" : "",
                         is_text ? column.substr(1) : column);
  }
}

void Table::add(const std::vector<std::string>& cells, bool is_main) {
  rows_ += is_main ? "<tr class=\"main\">" : "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    rows_ += i == 0
                 ? fmt::format("<th scope=\"row\">{}</th>", cells[i])
                 : fmt::format("<td{}>{}</td>", i < is_text_.size() && is_text_[i] ? " class=\"text\"" : "", cells[i]);
  }
  rows_ += "</tr>\n";
}

std::string Table::html() const {
  return fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\n<caption><span>{0}</span>"
      "</caption>\n<thead><tr>{1}</tr></thead>\n<tbody>\n{2}</tbody></table></div>\n",
      escaped(caption_), head_, rows_);
}

}  // namespace detent::report::html
