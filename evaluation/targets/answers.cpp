#include "detent/evaluation/targets/answers.h"

#include <algorithm>

#include "detent/evaluation/evaluate.h"

namespace detent::evaluation {

void Answers::add(const Tensor& outputs) {
  if (targets == data::TargetKind::kClasses) {
    width = 1;
    const std::vector<std::int32_t> predictions = predictions_of(outputs);
    said.insert(said.end(), predictions.begin(), predictions.end());
  } else if (targets == data::TargetKind::kFlags) {
    width = outputs.shape().row_elements();
    const Tensor values = outputs.as(DType::F32, nullptr);
    for (const float output : values.data<float>()) {
      said.push_back(output > 0.0F ? 1 : 0);
    }
  }
}

std::int64_t count_changed(const Answers& a, const Answers& b) {
  check(a.said.size() == b.said.size() && a.width == b.width, "answers: two models' are of ", a.said.size(), " and ",
        b.said.size(), " outputs; expected the same examples");
  if (a.width == 0) {
    return 0;
  }
  const auto width = static_cast<std::ptrdiff_t>(a.width);
  std::int64_t changed = 0;
  for (auto of_a = a.said.begin(), of_b = b.said.begin(); of_a != a.said.end(); of_a += width, of_b += width) {
    changed += std::equal(of_a, of_a + width, of_b) ? 0 : 1;
  }
  return changed;
}

}  // namespace detent::evaluation
