#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "detent/core/threads/parallel.h"
#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/peak.h"

/// The products of mnist-cnn and mnist-mlp at batch 128, on all processors: operations a second, and their share of
/// the processors' peak.
namespace detent::bench {
namespace {

using namespace kernels;

struct Layer {
  const char* name;
  ConvShape shape;
};

const Layer kLayers[] = {
    {"cnn_conv1", {.n = 128, .h = 28, .w = 28, .c = 1, .o = 32, .kh = 3, .kw = 3}},
    {"cnn_conv2", {.n = 128, .h = 26, .w = 26, .c = 32, .o = 64, .kh = 3, .kw = 3}},
    {"cnn_fc1", {.n = 128, .c = 9216, .o = 128}},
    {"cnn_fc2", {.n = 128, .c = 128, .o = 10}},
    {"mlp_fc1", {.n = 128, .c = 784, .o = 256}},
    {"mlp_fc2", {.n = 128, .c = 256, .o = 256}},
    {"mlp_fc3", {.n = 128, .c = 256, .o = 10}},
    {"lenet_conv2", {.n = 128, .h = 14, .w = 14, .c = 6, .o = 16, .kh = 5, .kw = 5}},
};

double operations(const ConvShape& s) {
  return 2.0 * static_cast<double>(s.n * s.output_row()) * static_cast<double>(s.depth());
}

/// What all processors can do; measured once.
const Peak& peak() {
  static const Peak measured = [] {
    Peak result;
    ThreadPool(hardware_threads()).run([&] { result = measure_peak(hardware_threads()); });
    return result;
  }();
  return measured;
}

/// Runs `work` on all processors. GFLOPS and peak_percent are those of the shortest iteration, so that other programs
/// disturb them little; an iteration does `flops` operations, at best `rate` of them a second.
template <typename Work>
void measure(benchmark::State& state, double flops, double rate, Work&& work) {
  using Clock = std::chrono::steady_clock;
  ThreadPool pool(hardware_threads());
  pool.run(work);
  double shortest = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    const auto start = Clock::now();
    pool.run(work);
    shortest = std::min(shortest, std::chrono::duration<double>(Clock::now() - start).count());
  }
  state.counters["GFLOPS"] = flops / shortest / 1e9;
  state.counters["peak_percent"] = 100.0 * flops / shortest / rate;
  state.counters["shortest_us"] = shortest * 1e6;
}

/// Elements of `dtype` that are small numbers or codes; their values do not change the time.
std::vector<std::byte> operand(std::int64_t elements, DType dtype) {
  return std::vector<std::byte>(static_cast<std::size_t>(elements) * size_of(dtype));
}

double rate_of(DType dtype) { return dtype == DType::F32 ? peak().f32 : peak().bf16; }

void forward(benchmark::State& state, ConvShape shape, DType dtype) {
  const auto x = operand(shape.n * shape.input_row(), dtype);
  const auto weight = operand(shape.weight_elements(), dtype);
  auto y = operand(shape.n * shape.output_row(), dtype);
  const std::vector<float> bias(static_cast<std::size_t>(shape.o));
  const PackedWeight packed = pack_forward(shape, dtype, weight.data());
  measure(state, operations(shape), rate_of(dtype),
          [&] { conv2d_forward(shape, dtype, x.data(), packed, bias.data(), true, dtype, y.data()); });
}

void backward(benchmark::State& state, ConvShape shape, DType dtype, bool wants_dx, bool wants_dw) {
  const auto x = operand(shape.n * shape.input_row(), dtype);
  const auto dy = operand(shape.n * shape.output_row(), dtype);
  const auto weight = operand(shape.weight_elements(), dtype);
  auto dx = operand(shape.n * shape.input_row(), DType::F32);
  std::vector<float> dw(static_cast<std::size_t>(shape.weight_elements()));
  std::vector<float> db(static_cast<std::size_t>(shape.o));
  ConvBackward request;
  request.dtype = dtype;
  request.dy = dy.data();
  request.x = x.data();
  if (wants_dx) {
    request.weight = pack_backward(shape, dtype, weight.data());
    request.dx = dx.data();
  }
  if (wants_dw) {
    request.dw = dw.data();
    request.db = db.data();
  }
  measure(state, operations(shape) * ((wants_dx ? 1 : 0) + (wants_dw ? 1 : 0)), rate_of(dtype),
          [&] { conv2d_backward(shape, request); });
}

/// The epilogue of a product that is only timed.
void keep_first(std::int64_t, Range, const std::int32_t* acc) {
  std::int32_t first = acc[0];
  benchmark::DoNotOptimize(first);
}

void integer(benchmark::State& state, ConvShape shape) {
  const std::vector<std::uint8_t> x(static_cast<std::size_t>(shape.n * shape.input_row()), 3);
  const std::vector<std::int8_t> weight(static_cast<std::size_t>(shape.weight_elements()), 1);
  const PackedWeight packed = pack_integer(shape, weight.data());
  measure(state, operations(shape), peak().int8, [&] { conv2d_integer(shape, x.data(), 5, packed, keep_first); });
}

void integer_of_owned(benchmark::State& state, ConvShape shape) {
  const std::vector<std::uint8_t> x(static_cast<std::size_t>(shape.n * shape.input_row()), 3);
  const auto weight = std::make_shared<std::vector<std::int8_t>>(static_cast<std::size_t>(shape.weight_elements()), 1);
  measure(state, operations(shape), peak().int8,
          [&] { conv2d_integer(shape, x.data(), 5, pack_integer(shape, weight->data(), weight), keep_first); });
}

void packing(benchmark::State& state, ConvShape shape) {
  const auto weight = operand(shape.weight_elements(), DType::F32);
  for (auto _ : state) {
    benchmark::DoNotOptimize(pack_forward(shape, DType::F32, weight.data()));
  }
}

void integer_packing(benchmark::State& state, ConvShape shape) {
  const std::vector<std::int8_t> weight(static_cast<std::size_t>(shape.weight_elements()), 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(pack_integer(shape, weight.data()));
  }
}

template <typename Fn, typename... Args>
void add(const std::string& name, Fn fn, Args... args) {
  benchmark::RegisterBenchmark(name.c_str(), fn, args...)
      ->UseRealTime()
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMicrosecond);
}

const bool kRegistered = [] {
  for (const auto& [layer, shape] : kLayers) {
    const std::string name = std::string("products/") + layer + "/";
    for (const DType dtype : {DType::F32, DType::BF16}) {
      const std::string type = std::string(name_of(dtype)) + "/";
      add(name + type + "forward", forward, shape, dtype);
      add(name + type + "backward_data", backward, shape, dtype, true, false);
      add(name + type + "backward_weights", backward, shape, dtype, false, true);
      add(name + type + "backward", backward, shape, dtype, true, true);
    }
    add(name + "int8/forward", integer, shape);
    add(name + "int8/pack_and_forward", integer_of_owned, shape);
    add(name + "f32/pack", packing, shape);
    add(name + "int8/pack", integer_packing, shape);
  }
  return true;
}();

}  // namespace
}  // namespace detent::bench
