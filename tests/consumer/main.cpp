// A program that uses the installed library, with five parts of its own in one recipe: it trains, quantizes, verifies,
// saves and loads again.
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>

#include "detent/detent.h"
#include "parts.h"

using namespace detent;

namespace {

constexpr const char* kRecipe = R"(# three rings of points
[model]
layers = ["linear 32", "softsign", "linear 32", "relu", "linear 3"]
[train]
epochs = 20
batch = 50
learning_rate = 1e-2
[quantize]
weights = "int8 per-channel symmetric coarse"
activations = "uint8 per-tensor affine two-sigma"
[qat]
epochs = 5
learning_rate = 1e-3
[check]
fp32_accuracy = 0.9
int8_accuracy = 0.8
max_drop = 0.2
codes_mismatched = 0
)";

// Points on three rings around the origin, in turn.
void write_points(const std::filesystem::path& path) {
  std::ofstream file(path);
  RandomStream random(1, "points");
  for (int i = 0; i < 1500; ++i) {
    const float angle = random.uniform(0.0F, 6.2831853F),
                radius = static_cast<float>(i % 3 + 1) + random.uniform(-0.3F, 0.3F);
    file << radius * std::cos(angle) << ' ' << radius * std::sin(angle) << ' ' << i % 3 << '\n';
  }
}

}  // namespace

int main(int, char** argv) try {
  recipes::Parts parts;
  consumer::add_softsign(parts.kinds);
  consumer::add_softsign_layer(parts.layers);
  consumer::add_points(parts.readers);
  consumer::add_two_sigma();
  consumer::add_coarse();

  const std::filesystem::path folder = std::string(argv[0]) + ".run";
  std::filesystem::create_directories(folder);
  write_points(folder / "rings.points");
  evaluation::Reporter silent;
  const evaluation::Metrics metrics =
      recipes::run(recipes::parse_recipe(kRecipe, "rings.toml"),
                   {.data = folder / "rings.points", .out = folder / "out"}, silent, parts);
  for (const std::string& failure : metrics.failures) {
    std::printf("%s\n", failure.c_str());
  }

  // What was saved, loaded again: the graph in training for int8 with the parts, and what ships of it.
  const nn::Model qat = nn::load_model(folder / "out" / "qat.h5", quant::factories_of(parts.kinds));
  const runtime::Model int8 = runtime::load_model(folder / "out" / "int8.h5", quant::custom_ops_of(parts.kinds)).model;
  const data::DataSource rings = data::open_data({.folder = folder / "rings.points", .readers = parts.readers});
  const evaluation::VerifyReport report = evaluation::verify(qat.graph, int8, rings.test, {}, silent);
  std::printf("float %.3f, int8 %.3f; %lld codes compared, %lld differ\n", metrics.fp32.test_accuracy,
              metrics.int8->test_accuracy, static_cast<long long>(report.codes_compared),
              static_cast<long long>(report.codes_mismatched));
  return metrics.failures.empty() && report.passed() && report.codes_compared > 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "consumer: %s\n", error.what());
  return 1;
}
