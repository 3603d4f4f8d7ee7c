#pragma once

#include <memory>

#include "detent/nn/graph.h"

namespace detent::quant {

/// A model made ready to run on batches of one size: weights packed, memory planned, layers fused, all once.
///
///   int8 graphs    quantize, dequantize, int8_conv2d, int8_linear, int8_add, int8_avg_pool2d, max_pool2d, code_relu,
///                  flatten; a 2 x 2 max-pool that follows a convolution is done in its kernel
///   float graphs   conv2d, linear (with the ReLU that follows, in their kernels), max_pool2d, flatten
///
/// From the second run on, integer layers that kernels::Int8Conv serves, and what stands between them, allocate nothing
/// and take no lock.
/// Every other module runs as in Graph::forward, so any mixture works. Codes are those of Graph::forward, bit for bit,
/// on every processor and at any number of threads. So are the results of float layers, at any number of threads; from
/// Graph::forward they may differ in the last bits.
///
/// Images are shared out to the threads of the pool that the caller runs in; a single image by rows and outputs, where
/// that pays. A plan is for one thread: `run` and `run_pixels` throw Error while another call of them is under way. It
/// does not see later changes of its graph's weights.
class InferencePlan {
 public:
  /// REQUIRES: batch >= 1 and a converted or a float graph with weights; throws Error for a prepared one.
  InferencePlan(const nn::Graph& graph, std::int64_t batch);
  ~InferencePlan();
  InferencePlan(InferencePlan&&) noexcept;
  InferencePlan& operator=(InferencePlan&&) noexcept;

  /// The graph's result on `images` f32 [batch, ...input_shape]. Valid until the next run.
  const Tensor& run(const Tensor& images);
  /// The same on images of bytes, u8 [batch, ...input_shape], of which p means p / 255.
  const Tensor& run_pixels(const Tensor& pixels);

  std::int64_t batch() const;
  const Shape& input_shape() const;
  /// Whether a layer of it computes with integers.
  bool is_integer() const;
  /// Bytes of packed weights and of the buffers between layers.
  std::size_t memory_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detent::quant
