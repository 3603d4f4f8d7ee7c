// The int8 file says enough: docs/recompute_int8.py, which knows nothing of the library, computes the same codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "detent/core/philox.h"
#include "detent/io/tensor_file.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/prepare.h"
#include "detent/runtime/model_file.h"
#include "detent/runtime/plan.h"
#include "tests/data/temp_folder.h"
#include "tests/places.h"

namespace detent::quant::recompute_test {
namespace {

namespace fs = std::filesystem;

Tensor random_images(std::int64_t count, std::uint64_t seed) {
  RandomStream random(seed, "test/images");
  Tensor images = Tensor::empty({count, 12, 12, 3}, DType::F32);
  for (float& pixel : images.data<float>()) {
    pixel = random.uniform(-0.5F, 1.0F);
  }
  return images;
}

// Everything that a converted model can hold and the script knows.
nn::Graph make_network() {
  nn::Graph net;
  auto x = net.input({12, 12, 3});
  auto stem = net.relu(net.conv2d(x, {.out_channels = 8, .kernel = 3, .padding = 1, .name = "stem"}));
  auto branch = net.conv2d(stem, {.out_channels = 8, .kernel = 3, .padding = 1, .name = "branch"});
  x = net.relu(net.add(stem, branch, "sum"));
  x = net.max_pool(x, {.kernel = 2, .name = "pool"});
  x = net.relu(net.conv2d(x, {.out_channels = 16, .kernel = 3, .stride = 2, .bias = false, .name = "strided"}));
  x = net.linear(net.flatten(net.softmax(x, "attention")), {.out_features = 10, .name = "fc"});
  net.output(net.softmax(x, "probabilities"));
  net.initialize(7);
  return net;
}

/// The script finds the codes of a model with these weights.
void expect_recomputed(const std::string& weights) {
  nn::Graph prepared = prepare(make_network(), QConfigMapping(QConfig{.weight = parse_weight_quantizer(weights)}));
  {
    autograd::Tape tape(nullptr, autograd::Tape::Mode::Inference);
    nn::Context context{.tape = tape};
    prepared.forward(context, tape.constant(random_images(16, 1)));
  }
  freeze_observers(prepared);
  const runtime::Model int8 = convert(prepared).model;

  const TempFolder folder;
  runtime::save_model({.model = int8}, folder / "int8.h5");
  const Tensor image = random_images(1, 2);
  TensorFile example;
  example.tensors["image"] = image.reshape({12, 12, 3});
  runtime::Plan plan(int8, 1, {.keeps_values = true});
  plan.run(image);
  for (std::size_t i = 0; i < int8.nodes.size(); ++i) {
    if (int8.nodes[i].output.is_codes()) {
      example.tensors["codes/" + int8.nodes[i].name] =
          plan.value(int8.value_of(i)).reshape(int8.nodes[i].output.shape).clone();
    }
  }
  EXPECT_GE(example.tensors.size(), 9U);
  example.write(folder / "example.h5");

  const std::string command = "/usr/bin/python3 " + source_path("docs/recompute_int8.py") + " '" +
                              (folder / "int8.h5").string() + "' '" + (folder / "example.h5").string() + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << weights << ": " << command;
}

TEST(RecomputeInNumpy, GivesTheCodesOfEveryLayer) {
  if (std::system("/usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3-h5py is not installed: scripts/setup --check installs it";
  }
  for (const char* const weights : {"int8", "int4", "int2", "ternary", "int1"}) {
    expect_recomputed(weights);
  }
}

}  // namespace
}  // namespace detent::quant::recompute_test
