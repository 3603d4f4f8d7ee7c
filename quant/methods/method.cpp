#include "detent/quant/methods/method.h"

namespace detent::quant {

const Names<Method>& method_names() {
  static const Names<Method> names{{"qat", Method::Qat}, {"static", Method::Static}, {"none", Method::None}};
  return names;
}

std::string_view name_of(Method method) { return name_in(method_names(), method); }

}  // namespace detent::quant
