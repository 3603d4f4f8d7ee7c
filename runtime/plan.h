#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "detent/runtime/model.h"

namespace detent::runtime {

struct PlanOptions {
  /// Every value of the model is kept, so that `value` can show it. A value that the plan would have kept in registers
  /// (a product's before a max-pool) is then computed besides; all others are those of the very steps that run without.
  /// But in a model without any codes, whose products else run on kernels that add in an order of their own, float
  /// values are then those of the graph's modules, bit for bit.
  bool keeps_values = false;
};

/// The one executor of models: a model made ready to run on batches of one size. Weights are packed, memory is planned
/// and layers are fused, all once. A 2 x 2 max-pool that follows an integer convolution is done in its kernel.
///
/// Codes are those of the prepared graph, bit for bit, on every processor and at any number of threads, and so are the
/// results of float operations in a model that has integer ones. In a float model they may differ from the graph's in
/// the last bits, never with the number of threads.
///
/// Images are shared out to the threads of the pool that the caller runs in; a single image by rows and outputs, where
/// that pays. All that a run needs is in its plan: two plans of one model run side by side. A plan is for one thread:
/// `run` throws Error while another call of it is under way.
class Plan {
 public:
  /// REQUIRES: batch >= 1. Throws Error as Model::validate.
  Plan(const Model& model, std::int64_t batch, PlanOptions options = {});
  ~Plan();
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;

  /// The model's result on its inputs, [batch, ...shape] each. Valid until the next run.
  const Tensor& run(std::span<const Tensor> inputs);
  /// The same of a model with one input.
  const Tensor& run(const Tensor& input) { return run(std::span(&input, 1)); }
  /// The same on images of bytes, u8 [batch, ...shape], of which p means p / 255.
  const Tensor& run_pixels(const Tensor& pixels);

  /// A value of the last run, [batch, ...shape]. REQUIRES: keeps_values.
  const Tensor& value(ValueId value) const;

  const Model& model() const;  ///< without the weights, biases and tables that the plan has copies of
  std::int64_t batch() const;
  /// Bytes of packed weights and of the buffers between layers.
  std::size_t memory_bytes() const;

  /// For tests of verification: the packed weights, multipliers and biases of all steps of `node`, for writing.
  std::span<const std::span<std::byte>> packed_memory_of(std::size_t node);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detent::runtime
