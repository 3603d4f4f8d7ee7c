#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Texts and numbers as a page shows them.
namespace detent::report::html {

/// `text` for the inside of an element, or of an attribute in double quotes: & < > " ' as references, U+FFFD for what
/// is no UTF-8 and for control characters but line ends and tabs. All that comes from files goes through here.
std::string escaped(std::string_view text);

/// `text`, or its beginning and an ellipsis: at most about `most` bytes, and no character in part.
std::string shortened(const std::string& text, std::size_t most);

/// Units are set off by a space that does not break, and a negative one has a true minus sign.
std::string percent(double share);              ///< 0.9923: "99.23 %"
std::string points(double points);              ///< -0.12: "−0.12", 0.12: "+0.12"; what is nothing, "0.00"
std::string signed_number(double number);       ///< -0.0123: "−0.0123", 0.5: "+0.5"; nothing: "0"; three digits
std::string bytes_text(double bytes);           ///< "1.15 MiB"
std::string times(double ratio);                ///< "3.98×", "12×"
std::string milliseconds(double milliseconds);  ///< 0.0163: "16.3 µs"; "1.23 ms", "2.05 s"
std::string duration(double seconds);           ///< "9.1 s", "3 min 12 s"
std::string short_number(double number);        ///< for axes: "0.25", "1.5k", "2M", "1e-06"
std::string count_text(double number);          ///< "1,234,567"
std::string plural(double number, const std::string& noun);  ///< "1 image", "1,000 images"

}  // namespace detent::report::html
