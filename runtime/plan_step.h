#pragma once

#include <memory>
#include <vector>

#include "detent/core/threads/parallel.h"
#include "detent/runtime/model.h"

/// The steps of a plan. Private to plan*.cpp.
namespace detent::runtime {

/// Where a value of the plan lies: the whole batch, or one task's part of it, which the task's next images overwrite.
struct PlanPlace {
  std::byte* base = nullptr;
  std::size_t image_bytes = 0;
  std::size_t task_bytes = 0;  ///< 0: the whole batch lies at `base`
  bool holds_pixels = false;   ///< of the plan's input: bytes p that mean p / 255
  Tensor whole = {};           ///< the whole batch; undefined for places of tasks

  template <typename T>
  T* at(Range images, std::int64_t task) const {
    const std::size_t offset = task_bytes > 0 ? static_cast<std::size_t>(task) * task_bytes
                                              : static_cast<std::size_t>(images.begin) * image_bytes;
    return reinterpret_cast<T*>(base + offset);
  }
};

/// What a step reads or writes. Places are filled in after all steps were made.
struct PlanValue {
  const ValueType* type = nullptr;
  const PlanPlace* place = nullptr;

  std::int64_t elements() const { return type->shape.elements(); }
  /// The map of codes.
  ScaleZero map() const { return type->qparams->tensor(); }
  CodeRange codes() const { return type->qparams->codes; }
  /// The whole batch as a tensor of the value's shape and map.
  Tensor tensor(std::int64_t batch) const {
    return place->whole.reshape(type->shape.batched(batch)).with_qparams(type->qparams);
  }
};

/// How a step likes its images.
enum class Grain : std::uint8_t {
  Image,   ///< one by one, while the values between steps are in cache: convolutions, pools
  Batch,   ///< many at a time, so that weights are read seldom: linear layers
  Either,  ///< as its neighbours do
  Whole,   ///< all of the batch in one call, which shares itself out to the threads
};

using PackedMemory = std::vector<std::span<std::byte>>;

/// An operation with everything fixed. Steps are immutable once the places are filled in, and work on the calling
/// thread unless their grain is Whole.
class PlanStep {
 public:
  PlanStep() = default;
  virtual ~PlanStep() = default;
  PlanStep(const PlanStep&) = delete;
  PlanStep& operator=(const PlanStep&) = delete;

  virtual Grain grain() const { return Grain::Either; }
  /// How many pieces a run may be cut into, and the multiply-adds of one image.
  virtual std::int64_t parts() const { return 1; }
  virtual std::int64_t work() const { return 0; }
  virtual void run(Range images, std::int64_t task, Range parts) const = 0;
  /// Whether it takes bytes p that mean p / 255 for its input's reals.
  virtual bool takes_pixels() const { return false; }
  /// Bytes of packed weights.
  virtual std::size_t bytes() const { return 0; }
  /// Its own copies of weights, tables, multipliers and biases.
  virtual PackedMemory packed_memory() { return {}; }
};

/// What a step is made from.
struct StepRequest {
  const Node& node;
  std::vector<const PlanValue*> inputs;
  const PlanValue& output;
  /// Float arithmetic runs on the whole batch by the calls that a graph's modules make.
  bool whole = false;
  std::int64_t batch = 1;  ///< of the plan
  Arena* arena = nullptr;  ///< of custom operations
};

/// A step of one output, with helpers to find its memory.
class Step : public PlanStep {
 public:
  explicit Step(const StepRequest& request) : inputs_(request.inputs), output_(request.output) {}

 protected:
  const PlanValue& input(std::size_t i = 0) const { return *inputs_[i]; }
  std::span<const PlanValue* const> inputs() const { return inputs_; }
  const PlanValue& output() const { return output_; }
  template <typename T>
  const T* in(Range images, std::int64_t task, std::size_t i = 0) const {
    return inputs_[i]->place->at<const T>(images, task);
  }
  template <typename T>
  T* out(Range images, std::int64_t task) const {
    return output_.place->at<T>(images, task);
  }
  std::size_t out_elements(Range images) const { return static_cast<std::size_t>(images.size() * output_.elements()); }

 private:
  std::vector<const PlanValue*> inputs_;
  const PlanValue& output_;
};

using MadeStep = std::unique_ptr<PlanStep>;

/// The step for a node that computes.
MadeStep make_step(const StepRequest& request);

/// The same, of one source each.
MadeStep make_product(const Product& product, const StepRequest& request);
MadeStep make_hybrid(const HybridProduct& product, const StepRequest& request);
MadeStep make_float_step(const StepRequest& request);

/// A product of codes with the max-pool of 2 x 2 behind it, which writes the pool's output; null where no kernel does
/// both.
MadeStep make_pooled_product(const Product& product, const StepRequest& request);

/// The same of a product that makes the codes of its input.
MadeStep make_pooled_hybrid(const HybridProduct& product, const StepRequest& request);

/// A product of codes, whose own are `between`, with the sum behind it: the second input is the sum's other. Null where
/// no kernel does both.
MadeStep make_added_product(const Product& product, const Add& add, const PlanValue& between,
                            const StepRequest& request);

/// Whether the node only hands its input on.
bool is_passed_on(const Node& node);

}  // namespace detent::runtime
