// Prints the codes_sha256 of an int8 model on the images of an IDX file, which is what `detent verify` prints of them:
// so that a processor, or a compiler, can be seen to give the codes of another. It links detent::runtime alone.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "detent/io/sha256.h"
#include "detent/runtime/model_file.h"
#include "detent/runtime/plan.h"

using namespace detent;

namespace {

constexpr std::int64_t kBatch = 100;
constexpr std::size_t kHeaderBytes = 16;  // magic, count, height, width, each of 4 bytes

std::vector<unsigned char> read_images(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<unsigned char> bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.size() < kHeaderBytes || bytes[2] != 8 || bytes[3] != 3) {
    throw std::runtime_error(std::string(path) + ": expected an IDX file of images, unpacked");
  }
  bytes.erase(bytes.begin(), bytes.begin() + kHeaderBytes);
  return bytes;
}

/// Of the examples, where the file says it.
float attribute(const runtime::ModelFile& file, const char* name, float otherwise) {
  const auto found = file.attributes.find(name);
  return found == file.attributes.end() ? otherwise : static_cast<float>(std::get<double>(found->second));
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 3 && count != 4) {
    std::fprintf(stderr, "usage: digest_codes INT8.h5 IMAGES [COUNT]\n");
    return 2;
  }
  const runtime::ModelFile file = runtime::load_model(arguments[1]);
  const runtime::Model& model = file.model;
  const std::vector<unsigned char> pixels = read_images(arguments[2]);
  const Shape& shape = model.inputs[0].type.shape;
  const std::int64_t there = static_cast<std::int64_t>(pixels.size()) / shape.elements();
  const std::int64_t images = count == 4 ? std::min<std::int64_t>(there, std::atoll(arguments[3])) : there;
  const float mean = attribute(file, "normalization_mean", 0.0F);
  const float deviation = attribute(file, "normalization_std", 1.0F);

  std::vector<Sha256> digests(model.nodes.size());
  std::optional<runtime::Plan> plan;
  for (std::int64_t first = 0; first < images; first += kBatch) {
    const std::int64_t batch = std::min(kBatch, images - first);
    Tensor examples = Tensor::empty(shape.batched(batch), DType::F32);
    const unsigned char* pixel = pixels.data() + first * shape.elements();
    for (float& x : examples.data<float>()) {
      x = (static_cast<float>(*pixel++) / 255.0F - mean) / deviation;
    }
    if (!plan || plan->batch() != batch) {
      plan.emplace(model, batch, runtime::PlanOptions{.keeps_values = true});
    }
    plan->run(examples);
    for (std::size_t i = 0; i < model.nodes.size(); ++i) {
      if (model.nodes[i].output.is_codes()) {
        digests[i].update(std::as_bytes(plan->value(model.value_of(i)).data<std::uint8_t>()));
      }
    }
  }
  Sha256 all;
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const std::string line = model.nodes[i].name + " " + digests[i].hex() + "\n";
    all.update(std::as_bytes(std::span(line)));
  }
  std::printf("%lld images, codes_sha256 %s\n", static_cast<long long>(images), all.hex().c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
