#include "detent/io/options.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/core/text/nearest.h"

namespace detent {
namespace {

using nlohmann::json;

template <typename T>
std::string text_of(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::string joined(const std::vector<std::string_view>& words, const char* quote) {
  std::string text;
  for (const std::string_view word : words) {
    text += (text.empty() ? "" : ", ") + (quote + std::string(word)) + quote;
  }
  return text;
}

json json_of(const Extent2d& extent) { return extent.h == extent.w ? json(extent.h) : json{extent.h, extent.w}; }

json json_of(const Padding2d& p) {
  if (p == Padding2d(p.top)) {
    return p.top;
  }
  return p == Padding2d(p.top, p.left) ? json{p.top, p.left} : json{p.top, p.left, p.bottom, p.right};
}

class Checker : public OptionList {
 public:
  explicit Checker(std::string_view kind) : kind_(kind) {}

  void integer(const char* key, std::int64_t& value, IntegerRange range, const char*) override {
    check(!range.must_be_set || value != 0, kind_, ": ", key, ": expected at least 1, got 0: set it");
    check(value >= range.min, kind_, ": ", key, ": expected at least ", range.min, ", got ", value);
    check(value <= range.max, kind_, ": ", key, ": expected at most ", range.max, ", got ", value);
  }
  void real(const char* key, double& value, RealRange range, const char*, bool) override {
    check(range.contains(value), kind_, ": ", key, ": expected ", range.text(key), ", got ", value);
  }
  void boolean(const char*, bool&, const char*, bool) override {}
  void extent(const char* key, Extent2d& value, IntegerRange range, const char* meaning) override {
    integer(key, value.h, range, meaning);
    integer(key, value.w, range, meaning);
  }
  void padding(const char* key, Padding2d& value, const char* meaning) override {
    for (std::int64_t* side : {&value.top, &value.left, &value.bottom, &value.right}) {
      integer(key, *side, {}, meaning);
    }
  }

 protected:
  std::size_t word(const char*, const std::vector<std::string_view>&, std::size_t now, const char*) override {
    return now;
  }

 private:
  std::string_view kind_;
};

class Writer : public OptionList {
 public:
  void integer(const char* key, std::int64_t& value, IntegerRange, const char*) override { written[key] = value; }
  void real(const char* key, double& value, RealRange, const char*, bool is_written) override {
    put(key, value, is_written);
  }
  void boolean(const char* key, bool& value, const char*, bool is_written) override { put(key, value, is_written); }
  void extent(const char* key, Extent2d& value, IntegerRange, const char*) override { written[key] = json_of(value); }
  void padding(const char* key, Padding2d& value, const char*) override { written[key] = json_of(value); }

  json written = json::object();

 protected:
  std::size_t word(const char* key, const std::vector<std::string_view>& words, std::size_t now, const char*) override {
    written[key] = words[now];
    return now;
  }

 private:
  template <typename T>
  void put(const char* key, T value, bool is_written) {
    if (is_written) {
      written[key] = value;
    }
  }
};

class Reader : public OptionList {
 public:
  Reader(std::string_view kind, const json& options) : kind_(kind), reader_(kind, options) {}
  void finish() const { reader_.finish(); }

  void integer(const char* key, std::int64_t& value, IntegerRange, const char*) override {
    value = reader_.integer(key, value);
  }
  void real(const char* key, double& value, RealRange, const char*, bool) override { value = reader_.real(key, value); }
  void boolean(const char* key, bool& value, const char*, bool) override { value = reader_.boolean(key, value); }
  void extent(const char* key, Extent2d& value, IntegerRange, const char*) override {
    const std::vector<std::int64_t> read = reader_.integers(key, {1, 2}, "an integer or [height, width]");
    if (!read.empty()) {
      value = {read.front(), read.back()};
    }
  }
  void padding(const char* key, Padding2d& value, const char*) override {
    const std::vector<std::int64_t> read =
        reader_.integers(key, {1, 2, 4}, "an integer, [height, width] or [top, left, bottom, right]");
    if (read.size() == 4) {
      value = {read[0], read[1], read[2], read[3]};
    } else if (!read.empty()) {
      value = {read.front(), read.back()};
    }
  }

 protected:
  std::size_t word(const char* key, const std::vector<std::string_view>& words, std::size_t now, const char*) override {
    const std::string read = reader_.text(key, words[now]);
    const auto found = std::ranges::find(words, read);
    if (found == words.end()) {
      const std::vector<std::string> known(words.begin(), words.end());
      fail(kind_, ": ", key, ": expected one of ", joined(words, ""), ", got '", read, "'", did_you_mean(read, known));
    }
    return static_cast<std::size_t>(found - words.begin());
  }

 private:
  std::string_view kind_;
  OptionReader reader_;
};

class Table : public OptionList {
 public:
  std::string text = "| option | default | values | meaning |\n| --- | --- | --- | --- |\n";

  void integer(const char* key, std::int64_t& value, IntegerRange range, const char* meaning) override {
    row(key, range.must_be_set ? "none: set it" : text_of(value), values_of(range), meaning);
  }
  void real(const char* key, double& value, RealRange range, const char* meaning, bool) override {
    row(key, text_of(value), range.text(key), meaning);
  }
  void boolean(const char* key, bool& value, const char* meaning, bool) override {
    row(key, value ? "true" : "false", "true, false", meaning);
  }
  void extent(const char* key, Extent2d& value, IntegerRange range, const char* meaning) override {
    row(key, json_of(value).dump(), values_of(range) + ": a number or `[height, width]`", meaning);
  }
  void padding(const char* key, Padding2d& value, const char* meaning) override {
    row(key, json_of(value).dump(),
        values_of(IntegerRange()) + ": a number, `[height, width]` or `[top, left, bottom, right]`", meaning);
  }

 protected:
  std::size_t word(const char* key, const std::vector<std::string_view>& words, std::size_t now,
                   const char* meaning) override {
    row(key, "`\"" + std::string(words[now]) + "\"`", joined(words, "`"), meaning);
    return now;
  }

 private:
  static std::string values_of(const IntegerRange& range) {
    const std::int64_t least = range.must_be_set ? 1 : range.min;
    return range.max == kMaxElements ? "at least " + text_of(least) : text_of(least) + " to " + text_of(range.max);
  }
  void row(const char* key, const std::string& value, const std::string& values, const char* meaning) {
    text += "| `" + std::string(key) + "` | " + value + " | " + values + " | " + meaning + " |\n";
  }
};

}  // namespace

bool RealRange::contains(double value) const {
  return std::isfinite(value) && (is_open_below ? value > min : value >= min) &&
         (is_open_above ? value < max : value <= max);
}

std::string RealRange::text(std::string_view key) const {
  if (!std::isfinite(min) && !std::isfinite(max)) {
    return "a finite number";
  }
  std::ostringstream text;
  if (std::isfinite(min)) {
    text << min << (is_open_below ? " < " : " <= ");
  }
  text << key;
  if (std::isfinite(max)) {
    text << (is_open_above ? " < " : " <= ") << max;
  }
  return text.str();
}

void check_options(std::string_view kind, const OptionLister& describe) {
  Checker checker(kind);
  describe(checker);
}

json write_options(const OptionLister& describe) {
  Writer writer;
  describe(writer);
  return std::move(writer.written);
}

void read_options(std::string_view kind, const json& json, const OptionLister& describe) {
  Reader reader(kind, json);
  describe(reader);
  reader.finish();
}

std::string options_table(const OptionLister& describe) {
  Table table;
  describe(table);
  return std::move(table.text);
}

}  // namespace detent
