#include "detent/train/run_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "detent/train/output_folder.h"

namespace detent::train {

std::string variant_name(const quant::QuantizerSpec& weights) {
  const std::string range = quant::to_text(weights.range);
  return fmt::format("static int{} {}{}", weights.grid.bits, quant::to_text(weights.granularity),
                     range.empty() ? "" : " " + range);
}

std::string file_of_variant(const quant::QuantizerSpec& weights) {
  std::string file = variant_name(weights) + ".h5";
  std::replace(file.begin(), file.end(), ' ', '-');
  return file;
}

std::vector<std::string> files_of(const Settings& settings) {
  std::vector<std::string> files{kFloatModel, kMetricsFile, kReportFile, kFlipsFile, kCheckpointFile};
  if (settings.train.keep == Keep::Best) {
    files.emplace_back(kBestCheckpointFile);
  }
  if (settings.quantize.method != quant::Method::None) {
    files.emplace_back("int8.h5");
    if (!quant::is_hybrid(settings.quantize.method)) {
      files.emplace_back(settings.quantize.method == quant::Method::Qat ? "qat.h5" : "prepared.h5");
    }
    for (const std::string& text : settings.quantize.compare_static) {
      files.push_back(file_of_variant(quant::parse_weight_quantizer(text)));
    }
    if (!settings.quantize.improve.empty()) {
      files.emplace_back(kNotImproved);
    }
  }
  return files;
}

}  // namespace detent::train
