#include "detent/quant/methods/method.h"

namespace detent::quant {

const Names<Method>& method_names() {
  static const Names<Method> names{{"qat", Method::Qat},         {"static", Method::Static},
                                   {"dynamic", Method::Dynamic}, {"weight-only", Method::WeightOnly},
                                   {"bf16", Method::Bf16},       {"none", Method::None}};
  return names;
}

std::string_view name_of(Method method) { return name_in(method_names(), method); }

const Names<Improvement>& improvement_names() {
  static const Names<Improvement> names{{"equalize", Improvement::Equalize},
                                        {"adaround", Improvement::AdaRound},
                                        {"bias-correction", Improvement::BiasCorrection}};
  return names;
}

std::string to_text(const std::vector<Improvement>& improvements) {
  std::string text;
  for (const Improvement improvement : improvements) {
    text += (text.empty() ? "" : ", ") + std::string(name_in(improvement_names(), improvement));
  }
  return text;
}

}  // namespace detent::quant
