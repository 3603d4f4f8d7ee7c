#include "detent/runtime/plan.h"

#include <algorithm>

#include "detent/runtime/plan_impl.h"

namespace detent::runtime {
namespace {

/// Layers of fewer multiply-adds together end before other threads come.
constexpr std::int64_t kWorkOfRegion = 600'000;
/// A layer of fewer takes about as long as sharing it out, and so does a smaller part of one.
constexpr std::int64_t kWorkOfShare = 50'000;
constexpr std::int64_t kWorkOfPart = 25'000;
/// More parts than this a thread only repeat what neighbouring parts do, too, such as copying lines with padding.
constexpr std::int64_t kPartsOfThread = 2;

/// Of one image, or as many as a step takes at once.
std::int64_t parts_of(const PlanStep& step, std::int64_t images) {
  const std::int64_t work = step.work() * images;
  const std::int64_t most = std::min<std::int64_t>(step.parts(), kPartsOfThread * hardware_threads());
  return work < kWorkOfShare ? 1 : std::clamp<std::int64_t>(work / kWorkOfPart, 1, most);
}

}  // namespace

/// A task's images through the segments in `range`.
void Plan::Impl::run_task(Range range, std::int64_t task) const {
  const Range images = tasks[task];
  for (auto s = range.begin; s < range.end; ++s) {
    const Segment& part = segment(s);
    const std::int64_t step = part.grain == Grain::Image ? 1 : images.size();
    for (std::int64_t image = images.begin; image < images.end; image += step) {
      for (auto i = part.layers.begin; i < part.layers.end; ++i) {
        const PlanStep& of_layer = *layer(i).step;
        of_layer.run({image, image + step}, task, {0, of_layer.parts()});
      }
    }
  }
}

/// The layers of the segments in `range` for a small batch, image by image where they like it.
Plan::Impl::Region Plan::Impl::region_of(Range range) const {
  Region region{.segments = range};
  std::vector<std::int64_t> parts;
  std::int64_t work = 0;
  for (auto s = range.begin; s < range.end; ++s) {
    for (auto i = segment(s).layers.begin; i < segment(s).layers.end; ++i) {
      work += layer(i).step->work() * batch;
    }
  }
  for (auto s = range.begin; s < range.end; ++s) {
    const std::int64_t step = segment(s).grain == Grain::Image ? 1 : batch;
    for (std::int64_t image = 0; image < batch; image += step) {
      for (auto i = segment(s).layers.begin; i < segment(s).layers.end; ++i) {
        const PlanStep& of_layer = *layer(i).step;
        parts.push_back(work < kWorkOfRegion ? 1 : parts_of(of_layer, step));
        region.jobs.push_back({&of_layer, {image, image + step}, {of_layer.parts(), parts.back()}});
      }
    }
  }
  region.sequence = JobSequence(parts);
  return region;
}

void Plan::Impl::Region::run() {
  sequence.run([this](std::int64_t i, std::int64_t part) {
    const Job& job = jobs[static_cast<std::size_t>(i)];
    job.step->run(job.images, 0, job.parts[part]);
  });
}

/// The segments from `first` on, up to the next that takes the whole batch.
Range Plan::Impl::segments_of_region(std::int64_t first) const {
  Range range{first, first + 1};
  while (range.end < static_cast<std::int64_t>(segments.size()) && segment(range.end).grain != Grain::Whole) {
    ++range.end;
  }
  return range;
}

/// `inputs` have their types, or, if the plan takes bytes, the one is u8.
void Plan::Impl::run(std::span<const Tensor> inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = model.inputs[i].type;
    PlanPlace& place = places[i];
    place.whole = inputs[i];
    place.base = place.whole.raw();
    place.image_bytes = static_cast<std::size_t>(type.shape.elements()) * size_of(inputs[i].dtype());
    place.holds_pixels = inputs[i].dtype() != type.dtype;
  }
  const auto count = static_cast<std::int64_t>(segments.size());
  for (std::int64_t s = 0; s < count;) {
    if (segment(s).grain == Grain::Whole) {
      layer(segment(s).layers.begin).step->run({0, batch}, 0, {0, 1});
      ++s;
      continue;
    }
    const Range range = segments_of_region(s);
    if (tasks.count == 1) {
      std::ranges::find(regions, s, [](const Region& region) { return region.segments.begin; })->run();
    } else {
      parallel_slices(tasks.count, [this, &range](std::int64_t task) { run_task(range, task); });
    }
    s = range.end;
  }
  if (gives_input()) {
    result.copy_from(inputs[place_of(model.output)].reshape(result.shape()));
  }
  for (ValueId value = 0; value < shown.size(); ++value) {
    if (place_of(value) < inputs.size()) {
      shown[value] = values[value].tensor(batch);
    }
  }
}

void Plan::Impl::check_input(std::size_t input, const Tensor& given, DType dtype) const {
  const Shape& shape = input_shapes[input];
  check(given.defined() && given.dtype() == dtype && given.shape() == shape, "plan: ", model.inputs[input].name,
        ": expected ", dtype, " ", shape, ", got ", given.dtype(), " ", given.shape());
}

/// `run` for one caller at a time: the buffers are the plan's.
const Tensor& Plan::Impl::run_alone(std::span<const Tensor> inputs, bool are_pixels) {
  check(!is_busy.exchange(true), "plan: it is run by two threads at once, and they would share its buffers; make a ",
        "plan for each thread");
  const std::unique_ptr<std::atomic<bool>, void (*)(std::atomic<bool>*)> end(&is_busy,
                                                                             [](auto* busy) { busy->store(false); });
  if (!are_pixels || takes_bytes) {
    run(inputs);
    return result;
  }
  if (!reals.defined()) {
    reals = Tensor::empty(inputs[0].shape(), DType::F32);
  }
  std::ranges::transform(inputs[0].data<std::uint8_t>(), reals.data<float>().begin(),
                         [](std::uint8_t p) { return static_cast<float>(p) / 255.0F; });
  run(std::span(&reals, 1));
  return result;
}

Plan::Plan(const Model& model, std::int64_t batch, PlanOptions options) {
  check(batch >= 1, "plan: expected a batch of at least 1, got ", batch);
  model.validate();
  impl_.reset(new Impl{.model = model, .batch = batch, .options = options});
  impl_->build();
}

Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

const Tensor& Plan::run(std::span<const Tensor> inputs) {
  const std::vector<Input>& expected = impl_->model.inputs;
  check(inputs.size() == expected.size(), "plan: expected ", expected.size(), " inputs, got ", inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    impl_->check_input(i, inputs[i], expected[i].type.dtype);
  }
  return impl_->run_alone(inputs, false);
}

const Tensor& Plan::run_pixels(const Tensor& pixels) {
  const std::vector<Input>& inputs = impl_->model.inputs;
  check(inputs.size() == 1 && !inputs[0].type.is_codes(), "plan: pixels are for a model of one input of reals; give ",
        "this one its inputs by run");
  impl_->check_input(0, pixels, DType::U8);
  return impl_->run_alone(std::span(&pixels, 1), true);
}

const Tensor& Plan::value(ValueId value) const {
  check(impl_->options.keeps_values, "plan: its values are not kept; make it with keeps_values");
  check(value < impl_->shown.size() && impl_->shown[value].defined(), "plan: no value ", value,
        "; expected one of the last run, below ", impl_->shown.size());
  return impl_->shown[value];
}

const Model& Plan::model() const { return impl_->model; }
std::int64_t Plan::batch() const { return impl_->batch; }
std::size_t Plan::memory_bytes() const { return impl_->memory_bytes; }

std::span<const std::span<std::byte>> Plan::packed_memory_of(std::size_t node) {
  impl_->packed_memory.clear();
  for (const Layer& layer : impl_->layers) {
    for (const std::span<std::byte> memory : layer.node == node ? layer.step->packed_memory() : PackedMemory()) {
      if (!memory.empty()) {
        impl_->packed_memory.push_back(memory);
      }
    }
  }
  return impl_->packed_memory;
}

}  // namespace detent::runtime
