#pragma once

#include <string>

/// What every page has around its sections. All texts but those called HTML are escaped here.
namespace detent::report::html {

struct Frame {
  std::string title = {};    ///< of the window
  std::string eyebrow = {};  ///< above the heading
  std::string heading = {};  ///< HTML
  std::string meta = {};     ///< below it
  std::string source = {};   ///< what the page was made from
};

/// A whole page of these sections (HTML): one file that asks for nothing, no script, no font, no image from elsewhere.
std::string framed_page(const Frame& frame, const std::string& sections);

}  // namespace detent::report::html
