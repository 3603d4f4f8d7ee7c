#include "detent/report/html/run_page.h"

#include "detent/report/html/flips.h"
#include "detent/report/html/page.h"
#include "detent/report/metrics_json.h"

namespace detent::report::html {

std::string run_page(const evaluation::Metrics& metrics, const data::Dataset& test) {
  Run run{.name = metrics.recipe, .metrics = to_json(metrics)};
  run.pictures = pictures_of(run.metrics, test);
  return page({std::move(run)});
}

}  // namespace detent::report::html
