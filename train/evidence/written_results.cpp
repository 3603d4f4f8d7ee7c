#include "detent/train/evidence/written_results.h"

#include "detent/io/tensor_file.h"
#include "detent/report/evidence/flips.h"
#include "detent/report/html/run_page.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_json.h"
#include "detent/train/output_folder.h"

namespace detent::train {

void write_results(const std::filesystem::path& folder, const evaluation::Metrics& metrics, const data::Dataset& test) {
  const bool are_classes = metrics.targets == data::TargetKind::kClasses;
  if (are_classes && metrics.evidence && !metrics.evidence->pairs.empty()) {
    write_text_file(folder / kFlipsFile, report::flips_csv(*metrics.evidence));
  }
  write_text_file(folder / kReportFile, report::html::run_page(metrics, test));
  write_text_file(folder / kMetricsFile, report::json_text(report::to_json(metrics), 2));
}

}  // namespace detent::train
