// Runs an int8 model on one image of random numbers: all that a program needs that only runs models. It links
// detent::runtime, which has no tape, no optimizer and no recipe.
#include <cstdio>

#include "detent/core/philox.h"
#include "detent/runtime/model_file.h"
#include "detent/runtime/plan.h"

using namespace detent;

int main(int count, char** arguments) try {
  if (count != 2) {
    std::fprintf(stderr, "usage: run_model INT8.h5\n");
    return 2;
  }
  runtime::Plan plan(runtime::load_model(arguments[1]).model, 1);
  Tensor image = Tensor::zeros(plan.model().inputs[0].type.shape.batched(1), DType::F32);
  RandomStream random(1, "image");
  for (float& pixel : image.data<float>()) {
    pixel = random.uniform(0.0F, 1.0F);
  }
  for (const float logit : plan.run(image).data<float>()) {
    std::printf("%g\n", static_cast<double>(logit));
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
