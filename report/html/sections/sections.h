#pragma once

#include <map>
#include <string>
#include <vector>

#include "detent/report/html/facts.h"

/// The parts of a page: HTML of a run's metrics.json. Each is empty where the members that it tells of are not there.
namespace detent::report::html {

struct Run {
  std::string name = {};  ///< what tells it from others on one page: its folder
  Json metrics = {};
  /// Examples of the test set by their numbers, as URIs of images: pictures.h. May be empty.
  std::map<std::int64_t, std::string> pictures = {};
};

std::string verdict_section(const Facts& facts);
/// A page's first answer, by a sign, in a few words and in a sentence.
std::string verdict_box(Verdict verdict, const std::string& words, const std::string& sentence);
/// What failed, what was checked, and warnings: whichever there are.
std::string verdict_lists(const std::vector<std::string>& failures, const std::vector<std::string>& checked,
                          const std::vector<std::string>& warnings);
/// The models: accuracy, size, time.
std::string models_section(const Json& metrics);
/// Loss and accuracy by epoch; of several runs in one chart.
std::string training_section(const std::vector<Run>& runs);
/// What changed between two models: slices, and the predictions that flipped, with pictures.
std::string changes_section(const Run& run);
/// The same of mean errors, of real numbers and flags: `pair` is the one whose slices are shown, or null.
std::string error_changes(const Json& metrics, const Json* pair);
/// Rows of a table of slices.
inline constexpr std::size_t kMostSlices = 60;
std::string confusion_section(const Json& metrics);
/// The error of each layer, and how weights and activations lie on their grids.
std::string layers_section(const Json& metrics);
/// How inputs and activations lie beside the training data: `drift` as in report/drift/drift_json.h, of the `live`
/// data, "test set".
std::string drift_section(const Json& drift, const std::string& live);
/// The value that left its range first, "input[2] 'age'"; "" if none did.
std::string first_to_leave(const Json& drift);
/// The same in a sentence.
std::string drift_sentence(const Json& drift);
std::string speed_section(const Json& metrics);
std::string network_section(const Json& metrics);
/// The command, the recipe and what the run ran on.
std::string repeat_section(const Json& metrics);
/// Several runs side by side.
std::string comparison_section(const std::vector<Run>& runs);

/// "<section id=...><h2>title</h2><p>what</p>content</section>"; empty without content.
std::string section(const std::string& id, const std::string& title, const std::string& what,
                    const std::string& content);
/// A chart under its title and a line about it; empty without a chart.
std::string figure(const std::string& title, const std::string& what, const std::string& chart);

/// A table that scrolls by itself where it is too wide. Cells are HTML.
class Table {
 public:
  /// `columns`: HTML; one that begins with '|', which is dropped, is of text.
  Table(std::string caption, const std::vector<std::string>& columns);
  /// The first cell is the row's header. A column of text is set to the left.
  void add(const std::vector<std::string>& cells, bool is_main = false);
  std::string html() const;
  bool empty() const { return rows_.empty(); }

 private:
  std::string caption_, head_, rows_;
  std::vector<bool> is_text_;
};

}  // namespace detent::report::html
