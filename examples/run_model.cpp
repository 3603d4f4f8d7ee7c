// Asks an int8 model what an image of random numbers shows: all that a program needs that only runs models. It links
// detent::runtime, which has no tape, no optimizer and no recipe.
#include <cstdio>

#include "detent/core/philox.h"
#include "detent/runtime/predictor/predictor.h"

using namespace detent;

int main(int count, char** arguments) try {
  if (count != 2) {
    std::fprintf(stderr, "usage: run_model INT8.h5\n");
    return 2;
  }
  runtime::Predictor predictor(arguments[1]);
  Tensor image = Tensor::zeros(predictor.model().inputs[0].type.shape, DType::F32);
  RandomStream random(1, "image");
  for (float& pixel : image.data<float>()) {
    pixel = random.uniform(0.0F, 1.0F);
  }
  const std::vector<runtime::Prediction> likeliest = predictor.predict(image, 3)[0];
  for (const runtime::Prediction& prediction : likeliest) {
    std::printf("%s %.2f %%\n", prediction.name.c_str(), 100.0 * static_cast<double>(prediction.probability));
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
