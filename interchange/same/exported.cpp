#include "detent/interchange/same/exported.h"

#include "detent/interchange/same/canonical.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"

namespace detent::interchange {

Exported exported(const quant::OpenedModel& opened) {
  if (opened.model() != nullptr) {
    return {.model = *opened.model(), .sha256 = model_sha256(canonical(*opened.model()))};
  }
  if (opened.kind == "fp32") {
    return {.model = quant::lower(*opened.graph()), .sha256 = model_sha256(canonical(opened))};
  }
  Exported made{.model = quant::convert(*opened.graph()).model};
  made.sha256 = model_sha256(canonical(made.model));
  return made;
}

}  // namespace detent::interchange
