#include "detent/runtime/plan.h"

#include <algorithm>

#include "detent/runtime/plan_impl.h"

namespace detent::runtime {
namespace {

/// A layer of fewer multiply-adds takes about as long as sharing it out.
constexpr std::int64_t kWorkOfFork = 1'000'000;
constexpr std::int64_t kWorkOfPart = 600'000;

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

/// A step in parts, on all threads, if it is large enough.
void Plan::Impl::run_shared(const PlanStep& step, Range images, std::int64_t task) const {
  const std::int64_t work = step.work() * images.size();
  const std::int64_t parts = step.parts();
  if (parts == 1 || work < kWorkOfFork) {
    step.run(images, task, {0, parts});
    return;
  }
  const struct {
    const PlanStep& step;
    Range images;
    std::int64_t task;
    Slices parts;
  } job{step, images, task, {parts, std::clamp<std::int64_t>(work / kWorkOfPart, 2, parts)}};
  parallel_slices(job.parts.count, [&job](std::int64_t i) { job.step.run(job.images, job.task, job.parts[i]); });
}

/// One segment on a small batch, for which there is one task.
void Plan::Impl::run_few(const Segment& part) const {
  const std::int64_t step = part.grain == Grain::Image ? 1 : batch;
  for (std::int64_t image = 0; image < batch; image += step) {
    for (auto i = part.layers.begin; i < part.layers.end; ++i) {
      run_shared(*layer(i).step, {image, image + step}, 0);
    }
  }
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
    Range range{s, s + 1};
    if (segment(s).grain == Grain::Whole) {
      layer(segment(s).layers.begin).step->run({0, batch}, 0, {0, 1});
    } else if (tasks.count == 1) {
      run_few(segment(s));
    } else {
      while (range.end < count && segment(range.end).grain != Grain::Whole) {
        ++range.end;
      }
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
