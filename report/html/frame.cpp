#include "detent/report/html/frame.h"

#include <fmt/format.h>

#include "detent/report/html/style.h"
#include "detent/report/html/text.h"

namespace detent::report::html {

std::string framed_page(const Frame& frame, const std::string& sections) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n<title>{}</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<style>{}</style>\n</head>\n<body>\n<div class=\"wrap\">\n<header>\n"
      "<p class=\"eyebrow\">{}</p>\n<h1>{}</h1>\n<p class=\"meta\">{}</p>\n</header>\n<main>\n{}"
      "</main>\n<footer>Made by Detent from {}. The page holds all that it shows and asks for nothing.</footer>\n"
      "</div>\n</body>\n</html>\n",
      escaped(frame.title), kStyle, escaped(frame.eyebrow), frame.heading, escaped(frame.meta), sections,
      escaped(frame.source));
}

}  // namespace detent::report::html
