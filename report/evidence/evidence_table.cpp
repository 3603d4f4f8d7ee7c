#include "detent/report/evidence/evidence_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "detent/core/text/list_text.h"
#include "detent/report/metrics_table.h"

namespace detent::report {
namespace {

using evaluation::Evidence;
using evaluation::ModelEvidence;
using evaluation::PairEvidence;
using evaluation::SliceChange;
using evaluation::SliceScore;

constexpr std::size_t kShownSlices = 12;
constexpr std::size_t kShownFlips = 10;
constexpr std::size_t kShownClasses = 12;
constexpr std::size_t kShownModules = 12;
constexpr std::size_t kNameWidth = 34;
constexpr std::size_t kColumn = 20;

std::string bytes_text(std::int64_t bytes) {
  const auto number = static_cast<double>(bytes);
  return bytes < 1 << 20 ? fmt::format("{:.1f} KiB", number / 1024.0)
                         : fmt::format("{:.2f} MiB", number / (1024.0 * 1024.0));
}

/// The end of a long name says more than its beginning: it is a path or a slice's value.
std::string fitted(const std::string& name, std::size_t width) {
  return name.size() <= width ? name : "..." + name.substr(name.size() - (width - 3));
}

std::string share_text(double share) { return fmt::format("{:.2f} %", 100.0 * share); }

/// A row of a number a model.
template <typename Cell>
std::string row(const Evidence& evidence, const std::string& name, Cell cell) {
  std::string text = fmt::format("  {:<26}", name);
  for (const ModelEvidence& model : evidence.models) {
    text += fmt::format("{:>{}}", std::string(cell(model)), kColumn);
  }
  return text + "\n";
}

std::string speed_rows(const Evidence& evidence) {
  const auto& first = evidence.models.front().speed;
  if (!first) {
    return {};
  }
  const auto of = [&](const std::string& name, double evaluation::Latency::*member) {
    return row(evidence, name,
               [&](const ModelEvidence& model) { return fmt::format("{:.4g} ms", model.speed->latency.*member); });
  };
  std::string text = of("latency, batch 1: 50 %", &evaluation::Latency::p50) +
                     of("                  90 %", &evaluation::Latency::p90) +
                     of("                  99 %", &evaluation::Latency::p99) +
                     of("               longest", &evaluation::Latency::max);
  for (std::size_t i = 0; i < first->throughput.size(); ++i) {
    text +=
        row(evidence, fmt::format("examples/s, batch {}", first->throughput[i].batch), [&](const ModelEvidence& model) {
          return fmt::format("{:.0f}", model.speed->throughput[i].examples_per_second);
        });
  }
  return text + row(evidence, "memory, batch 1",
                    [](const ModelEvidence& model) { return bytes_text(model.speed->peak_memory_bytes); });
}

std::string sizes_text(const Evidence& evidence) {
  return row(evidence, "file", [](const ModelEvidence& m) { return bytes_text(m.file_bytes); }) +
         row(evidence, "parameters", [](const ModelEvidence& m) { return bytes_text(m.parameter_bytes); }) +
         speed_rows(evidence);
}

bool are_classes(const Evidence& evidence) { return evidence.models.front().targets == data::TargetKind::kClasses; }

std::string models_text(const Evidence& evidence) {
  std::string text = row(evidence, "model", [](const ModelEvidence& m) { return fitted(m.name, kColumn - 2); });
  if (!are_classes(evidence)) {
    text += row(evidence, "mean error", [](const ModelEvidence& m) { return fmt::format("{:.5g}", m.error); });
    return text + sizes_text(evidence);
  }
  text += row(evidence, "accuracy", [](const ModelEvidence& m) { return share_text(m.accuracy()); });
  text += row(evidence, "  95 % interval", [](const ModelEvidence& m) {
    const evaluation::Interval interval = evaluation::wilson_interval(m.accuracy(), m.examples);
    return fmt::format("{:.2f} to {:.2f}", 100.0 * interval.low, 100.0 * interval.high);
  });
  text += row(evidence, "calibration error",
              [](const ModelEvidence& m) { return fmt::format("{:.4f}", m.calibration_error); });
  return text + sizes_text(evidence);
}

std::string class_text(std::int32_t number, const std::vector<std::string>& names) {
  const auto i = static_cast<std::size_t>(number);
  return i < names.size() ? names[i] : std::to_string(number);
}

std::string flips_text(const PairEvidence& pair, const std::vector<std::string>& names) {
  if (pair.flips.empty()) {
    return "\n  no prediction differs\n";
  }
  std::vector<evaluation::Flip> flips = pair.flips;
  std::ranges::stable_sort(flips, std::greater(),
                           [](const evaluation::Flip& flip) { return std::max(flip.margin_a, flip.margin_b); });
  std::string text =
      fmt::format("\n  flips, the surest first{}\n",
                  flips.size() > kShownFlips ? fmt::format(" ({} of {}; --json has all)", kShownFlips, flips.size())
                                             : std::string());
  text += fmt::format("  {:>8}{:>16}{:>16}{:>16}{:>12}{:>12}\n", "example", "label", "A", "B", "margin A", "margin B");
  flips.resize(std::min(flips.size(), kShownFlips));
  for (const evaluation::Flip& flip : flips) {
    text += fmt::format("  {:>8}{:>16}{:>16}{:>16}{:>12.4f}{:>12.4f}\n", flip.index,
                        fitted(class_text(flip.label, names), 15), fitted(class_text(flip.a, names), 15),
                        fitted(class_text(flip.b, names), 15), flip.margin_a, flip.margin_b);
  }
  return text;
}

std::string shown_of(std::size_t all) {
  return all > kShownSlices ? fmt::format(" ({} of {}; --json has all)", kShownSlices, all) : std::string();
}

/// What lost most is the worst; of what changed alike, where least is right now.
std::pair<double, double> by_worst(const SliceChange& slice) { return {slice.change(), slice.accuracy_b()}; }

std::string slices_text(const PairEvidence& pair) {
  std::vector<SliceChange> slices = pair.slices;
  std::ranges::stable_sort(slices, std::less(), by_worst);
  std::string text =
      fmt::format("\n  slices, what lost most first{}\n  {:<{}}{:>9}{:>10}{:>10}{:>9}{:>20}\n", shown_of(slices.size()),
                  "slice", kNameWidth, "examples", "A", "B", "points", "95 % interval");
  slices.resize(std::min(slices.size(), kShownSlices));
  for (const SliceChange& slice : slices) {
    const evaluation::Interval interval = slice.interval();
    text += fmt::format("  {:<{}}{:>9}{:>10}{:>10}{:>+9.2f}{:>20}\n", fitted(slice.slice, kNameWidth - 1), kNameWidth,
                        slice.examples, share_text(slice.accuracy_a()), share_text(slice.accuracy_b()),
                        100.0 * slice.change(),
                        fmt::format("{:+.2f} to {:+.2f}", 100.0 * interval.low, 100.0 * interval.high));
  }
  return text;
}

std::string slices_text(const ModelEvidence& model) {
  std::vector<SliceScore> slices = model.slices;
  std::ranges::stable_sort(slices, std::less(), [](const SliceScore& slice) { return slice.accuracy(); });
  std::string text =
      fmt::format("\n  slices, the worst first{}\n  {:<{}}{:>9}{:>10}{:>16}{:>20}\n", shown_of(slices.size()), "slice",
                  kNameWidth, "examples", "accuracy", "points from all", "95 % interval");
  slices.resize(std::min(slices.size(), kShownSlices));
  for (const SliceScore& slice : slices) {
    const evaluation::Interval interval = evaluation::wilson_interval(slice.accuracy(), slice.examples);
    text += fmt::format("  {:<{}}{:>9}{:>10}{:>+16.2f}{:>20}\n", fitted(slice.slice, kNameWidth - 1), kNameWidth,
                        slice.examples, share_text(slice.accuracy()), 100.0 * (slice.accuracy() - model.accuracy()),
                        fmt::format("{:.2f} to {:.2f}", 100.0 * interval.low, 100.0 * interval.high));
  }
  return text;
}

/// The errors of a pair, the slice that lost most first.
std::string errors_text(const PairEvidence& pair) {
  std::vector<evaluation::ErrorChange> slices = pair.slice_errors;
  const auto line = [](const evaluation::ErrorChange& change, const std::string& name) {
    return fmt::format("  {:<{}}{:>9}{:>12.5g}{:>12.5g}{:>+12.3g}{:>20}\n", fitted(name, kNameWidth - 1), kNameWidth,
                       change.examples, change.error_a, change.error_b, change.change(),
                       fmt::format("{:+.2g} to {:+.2g}", change.interval.low, change.interval.high));
  };
  std::ranges::stable_sort(slices, std::greater(), [](const auto& slice) { return slice.change(); });
  std::string text = fmt::format("\n  A {}\n  B {}\n\n  mean errors, what lost most first{}\n", pair.a, pair.b,
                                 shown_of(slices.size()));
  text += fmt::format("  {:<{}}{:>9}{:>12}{:>12}{:>12}{:>20}\n", "slice", kNameWidth, "examples", "A", "B", "change",
                      "95 % interval");
  text += line(*pair.whole_error, "all");
  slices.resize(std::min(slices.size(), kShownSlices));
  for (const evaluation::ErrorChange& slice : slices) {
    text += line(slice, slice.slice);
  }
  return text;
}

std::string errors_text(const ModelEvidence& model) {
  std::vector<SliceScore> slices = model.slices;
  std::ranges::stable_sort(slices, std::greater(), &SliceScore::error);
  std::string text = fmt::format("\n  mean errors, the largest first{}\n  {:<{}}{:>9}{:>12}\n", shown_of(slices.size()),
                                 "slice", kNameWidth, "examples", "error");
  slices.resize(std::min(slices.size(), kShownSlices));
  for (const SliceScore& slice : slices) {
    text += fmt::format("  {:<{}}{:>9}{:>12.5g}\n", fitted(slice.slice, kNameWidth - 1), kNameWidth, slice.examples,
                        slice.error);
  }
  return text;
}

std::string confusion_text(const ModelEvidence& model, const std::vector<std::string>& names) {
  const std::size_t classes = model.confusion.size();
  if (classes == 0 || classes > kShownClasses) {
    return {};
  }
  std::string text =
      fmt::format("\n  {}: labels (rows) and predictions (columns)\n  {:<14}", fitted(model.name, 60), "");
  for (std::size_t i = 0; i < classes; ++i) {
    text += fmt::format("{:>7}", fitted(class_text(static_cast<std::int32_t>(i), names), 6));
  }
  text += "\n";
  for (std::size_t label = 0; label < classes; ++label) {
    text += fmt::format("  {:<14}", fitted(class_text(static_cast<std::int32_t>(label), names), 13));
    for (const std::int64_t count : model.confusion[label]) {
      text += count == 0 ? fmt::format("{:>7}", ".") : fmt::format("{:>7}", count);
    }
    text += "\n";
  }
  return text;
}

std::string float_text(const ModelEvidence& model) {
  if (model.float_modules.empty()) {
    return {};
  }
  std::string text = fmt::format("\n  {}: in float\n", fitted(model.name, 60));
  for (std::size_t i = 0; i < std::min(model.float_modules.size(), kShownModules); ++i) {
    text += fmt::format("    {:<22}{}\n", model.float_modules[i].module, model.float_modules[i].why);
  }
  return model.float_modules.size() > kShownModules
             ? text + fmt::format("    and {} more\n", model.float_modules.size() - kShownModules)
             : text;
}

std::string pair_text(const PairEvidence& pair, const std::vector<std::string>& names) {
  const SliceChange& whole = pair.whole;
  const evaluation::Interval interval = whole.interval();
  return fmt::format("\n  A {}\n  B {}\n", pair.a, pair.b) +
         fmt::format("  B against A: {:+.2f} points (95 %: {:+.2f} to {:+.2f}), McNemar p = {:.3g}\n",
                     100.0 * whole.change(), 100.0 * interval.low, 100.0 * interval.high, pair.mcnemar_p) +
         fmt::format("  right in A alone {}, in B alone {}; {} of {} predictions differ\n", with_separators(whole.lost),
                     with_separators(whole.won), with_separators(static_cast<std::int64_t>(pair.flips.size())),
                     with_separators(whole.examples)) +
         slices_text(pair) + flips_text(pair, names);
}

}  // namespace

std::string to_text(const evaluation::Verdict& verdict) {
  if (verdict.checked.empty()) {
    return "nothing was checked: no bound was given; give one, for example --max-slice-drop 0.02\n";
  }
  return (verdict.failures.empty() ? "all checks passed: " : "checks failed: ") + comma_separated(verdict.checked) +
         "\n";
}

std::string brief_text(const Evidence& evidence) {
  if (evidence.pairs.empty()) {
    return {};
  }
  const PairEvidence& pair = evidence.pairs.front();
  if (pair.whole_error) {
    return fmt::format("  {} against {}: mean error {:.5g}, was {:.5g} ({:+.3g})\n", pair.b, pair.a,
                       pair.whole_error->error_b, pair.whole_error->error_a, pair.whole_error->change());
  }
  std::string text =
      fmt::format("  {} against {}: {} of {} predictions differ, {} lost, {} won, McNemar p = {:.2g}\n", pair.b, pair.a,
                  with_separators(static_cast<std::int64_t>(pair.flips.size())), with_separators(pair.whole.examples),
                  with_separators(pair.whole.lost), with_separators(pair.whole.won), pair.mcnemar_p);
  const auto worst = std::ranges::min_element(pair.slices, {}, by_worst);
  if (worst != pair.slices.end()) {
    text += fmt::format("  worst slice: {}, {:+.2f} points of {} examples", fitted(worst->slice, kNameWidth),
                        100.0 * worst->change(), with_separators(worst->examples));
  }
  const auto& a = evidence.models.front().speed;
  const auto& b = evidence.models.back().speed;
  return text +
         (a && b ? fmt::format("; one example in {:.3g} ms, {} {:.3g} ms", b->latency.p50, pair.a, a->latency.p50)
                 : std::string()) +
         "\n";
}

std::string to_text(const Evidence& evidence, const std::vector<std::string>& class_names) {
  if (evidence.models.empty()) {
    return {};
  }
  std::string text = models_text(evidence);
  if (!are_classes(evidence)) {
    text += evidence.pairs.empty() ? errors_text(evidence.models.front()) : errors_text(evidence.pairs.front());
  } else {
    text +=
        evidence.pairs.empty() ? slices_text(evidence.models.front()) : pair_text(evidence.pairs.front(), class_names);
  }
  text += confusion_text(evidence.models.back(), class_names);
  for (const ModelEvidence& model : evidence.models) {
    text += float_text(model);
  }
  text += "\n  " + to_text(evidence.verdict);
  for (const std::string& failure : evidence.verdict.failures) {
    text += "  FAILED  " + failure + "\n";
  }
  return text;
}

}  // namespace detent::report
