#pragma once

#include <atomic>
#include <optional>

#include "detent/core/threads/job_sequence.h"
#include "detent/runtime/plan.h"
#include "detent/runtime/plan_step.h"

/// What a plan consists of. Private to plan*.cpp.
namespace detent::runtime {

/// A node that computes, or a node and the max-pool or sum behind it.
struct Layer {
  MadeStep step;
  std::size_t node = 0;
  std::vector<ValueId> inputs = {};
  ValueId output = 0;
};

/// Layers that run one after another on the same images: steps of one grain, or one that takes the whole batch.
struct Segment {
  Grain grain = Grain::Either;
  Range layers;
};

/// Segments run in order. Those up to the next that takes the whole batch form a region: of many images, each task of
/// it takes its own through all of its segments, so that what lies between two layers stays in the cache.
struct Plan::Impl {
  /// By node, the nodes behind it that a step may do with it.
  struct Fusions {
    std::vector<std::optional<std::size_t>> pools, sums;
  };
  /// A step for a node and the one behind it.
  struct FusedStep {
    MadeStep step = nullptr;
    std::size_t behind = 0;
    std::vector<ValueId> inputs = {};
    ValueId output = 0;
  };

  /// The layers of a region for a batch of one task, each shared out to all threads if it is large enough.
  struct Region {
    struct Job {
      const PlanStep* step;
      Range images;
      Slices parts;
    };
    Range segments;
    std::vector<Job> jobs = {};
    JobSequence sequence{{}};
    void run();
  };

  Model model;
  std::int64_t batch;
  PlanOptions options;
  Slices tasks = {};
  std::vector<Shape> input_shapes = {};  // of a batch
  bool takes_bytes = false;              // as input

  std::vector<PlanValue> values = {};  // by ValueId
  std::vector<PlanPlace> places = {};
  std::vector<Layer> layers = {};
  std::vector<Segment> segments = {};
  std::vector<Region> regions = {};  // if there is one task
  std::shared_ptr<std::byte> task_memory = nullptr;
  std::size_t memory_bytes = 0;
  Arena arena = {};                // of custom operations
  Tensor reals = {};               // of pixels, where more than a quantize step reads them
  std::vector<Tensor> shown = {};  // of keeps_values, by ValueId
  Tensor result = {};              // on the output's place
  PackedMemory packed_memory = {};
  std::atomic<bool> is_busy = false;

  void build();
  void make_layers();
  void add_layer(MadeStep step, std::size_t node, std::vector<ValueId> inputs, ValueId output);
  FusedStep fused_product(std::size_t node, const Fusions& fusions, const StepRequest& alone);
  void make_segments();
  std::vector<bool> places_of_tasks() const;
  void place_values();
  void show_values();
  void release_copied();
  std::size_t place_of(ValueId value) const { return static_cast<std::size_t>(values[value].place - places.data()); }

  const Layer& layer(std::int64_t index) const { return layers[static_cast<std::size_t>(index)]; }
  const Segment& segment(std::int64_t index) const { return segments[static_cast<std::size_t>(index)]; }
  bool reads_bytes() const;
  bool gives_input() const { return place_of(model.output) < model.inputs.size(); }
  void check_input(std::size_t input, const Tensor& given, DType dtype) const;
  const Tensor& run_alone(std::span<const Tensor> inputs, bool are_pixels);
  void run(std::span<const Tensor> inputs);
  void run_task(Range range, std::int64_t task) const;
  Range segments_of_region(std::int64_t first) const;
  Region region_of(Range range) const;
};

}  // namespace detent::runtime
