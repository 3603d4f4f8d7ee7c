#include "detent/report/html/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/core/utf8.h"
#include "detent/report/metrics_table.h"

namespace detent::report::html {
namespace {

constexpr const char* kSpace = "\u00a0";
constexpr const char* kMinus = "\u2212";
constexpr double kLargestCount = 9e18;

/// `digits` of a number that is at least 0 count from its first: 3 digits of 1.2345 are "1.23", of 123.4 "123".
std::string digits_of(double number, int digits) {
  const int whole = number < 1.0 ? 1 : static_cast<int>(std::floor(std::log10(number))) + 1;
  return fmt::format("{:.{}f}", number, std::max(0, digits - whole));
}

std::string trimmed(std::string number) {
  if (number.find('.') != std::string::npos) {
    number.erase(number.find_last_not_of('0') + 1);
    if (number.back() == '.') {
      number.pop_back();
    }
  }
  return number;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : valid_utf8(text)) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default: {
        const auto code = static_cast<unsigned char>(letter);
        const bool is_control = (code < 0x20 && letter != '\n' && letter != '\t') || code == 0x7f;
        result += is_control ? std::string("\ufffd") : std::string(1, letter);
      }
    }
  }
  return result;
}

std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) {
    return text;
  }
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) {
    --end;
  }
  return text.substr(0, end) + "\u2026";
}

std::string percent(double share) { return fmt::format("{:.2f}{}%", 100.0 * share, kSpace); }

std::string points(double points) {
  if (std::abs(points) < 0.005) {
    return "0.00";
  }
  return fmt::format("{}{:.2f}", points < 0.0 ? kMinus : "+", std::abs(points));
}

std::string signed_number(double number) {
  return number == 0.0 ? "0" : fmt::format("{}{:.3g}", number < 0.0 ? kMinus : "+", std::abs(number));
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  while (bytes >= 1024.0 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024.0;
    ++unit;
  }
  return fmt::format("{}{}{}", unit == 0 ? fmt::format("{:.0f}", bytes) : digits_of(bytes, 3), kSpace, kUnits[unit]);
}

std::string times(double ratio) { return digits_of(ratio, ratio < 10.0 ? 3 : 2) + "\u00d7"; }

std::string milliseconds(double milliseconds) {
  if (milliseconds < 1.0) {
    return trimmed(digits_of(1000.0 * milliseconds, 3)) + kSpace + "\u00b5s";
  }
  return milliseconds < 1000.0 ? trimmed(digits_of(milliseconds, 3)) + kSpace + "ms"
                               : trimmed(digits_of(milliseconds / 1000.0, 3)) + kSpace + "s";
}

std::string duration(double seconds) {
  if (seconds < 120.0) {
    return fmt::format("{:.1f}{}s", seconds, kSpace);
  }
  const double minutes = std::floor(seconds / 60.0);
  return fmt::format("{:.0f}{}min {:.0f}{}s", minutes, kSpace, std::floor(seconds - 60.0 * minutes), kSpace);
}

std::string short_number(double number) {
  const double size = std::abs(number);
  const std::string sign = number < 0.0 ? kMinus : "";
  if (size == 0.0) {
    return "0";
  }
  if (size < 1e-3 || size >= 1e12) {
    return sign + fmt::format("{:.3g}", size);
  }
  constexpr const char* kSuffixes[] = {"", "k", "M", "G"};
  std::size_t suffix = 0;
  double shown = size;
  while (shown >= 1000.0 && suffix + 1 < std::size(kSuffixes)) {
    shown /= 1000.0;
    ++suffix;
  }
  return sign + trimmed(fmt::format("{:.{}f}", shown, shown < 1.0 ? 4 : shown < 100.0 ? 2 : 1)) + kSuffixes[suffix];
}

std::string count_text(double number) {
  const bool is_count = std::abs(number) < kLargestCount && std::floor(number) == number;
  return is_count ? with_separators(static_cast<std::int64_t>(number)) : short_number(number);
}

std::string plural(double number, const std::string& noun) {
  return count_text(number) + " " + noun + (number == 1.0 ? "" : "s");
}

}  // namespace detent::report::html
