#pragma once

#include <memory>
#include <vector>

#include "detent/core/threads/parallel.h"
#include "detent/nn/graph.h"

/// The steps of an inference plan. Private to plan*.cpp.
namespace detent::quant {

/// Where a value of the plan lies: the whole batch, or one task's part of it, which the task's next images overwrite.
struct PlanPlace {
  std::byte* base = nullptr;
  std::size_t image_bytes = 0;
  std::size_t task_bytes = 0;  ///< 0: the whole batch lies at `base`
  bool holds_pixels = false;   ///< of the plan's input: bytes p that mean p / 255

  template <typename T>
  T* at(Range images, std::int64_t task) const {
    const std::size_t offset = task_bytes > 0 ? static_cast<std::size_t>(task) * task_bytes
                                              : static_cast<std::size_t>(images.begin) * image_bytes;
    return reinterpret_cast<T*>(base + offset);
  }
};

/// What a step reads or writes. Places are filled in after all steps were made.
struct PlanValue {
  Shape shape;  ///< of one example
  DType dtype = DType::F32;
  std::shared_ptr<const QParams> qparams;
  const PlanPlace* place = nullptr;
};

/// How a step likes its images.
enum class Grain : std::uint8_t {
  Image,   ///< one by one, while the values between steps are in cache: convolutions, pools
  Batch,   ///< many at a time, so that weights are read seldom: linear layers
  Either,  ///< as its neighbours do
};

/// A layer with everything fixed. Steps are immutable once the places are filled in, and work on the calling thread.
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
  /// Bytes of packed weights.
  virtual std::size_t bytes() const { return 0; }
};

/// The step for `node`, which reads `inputs` and writes `output`; null if the plan has none for it. With `pool`, the
/// max-pool of 2 x 2 behind it is part of it, or there is no step.
std::unique_ptr<PlanStep> make_step(const nn::Graph::Node& node, const std::vector<const PlanValue*>& inputs,
                                    const PlanValue& output, bool pool);

/// Whether `node` only hands its input on in inference: flatten, dropout.
bool is_passed_on(const nn::Graph::Node& node, const PlanValue& input);

}  // namespace detent::quant
