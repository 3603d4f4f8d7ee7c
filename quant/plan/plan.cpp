#include "detent/quant/plan/plan.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "detent/nn/fuse_relu.h"
#include "detent/quant/kinds/qat_modules.h"
#include "detent/quant/passes/copy_module.h"
#include "detent/quant/plan/plan_step.h"

namespace detent::quant {
namespace {

using nn::Graph;

/// Images of a task, where there are enough for several; of float graphs, whose weights are four times as large and the
/// more often read the fewer these are; and of those without convolutions, where that decides.
constexpr std::int64_t kTaskImages = 16;
constexpr std::int64_t kFloatTaskImages = 32;
constexpr std::int64_t kFloatTaskRows = 64;
/// Fewer images than this go through the layers one by one, and layers are shared out in parts.
constexpr std::int64_t kMany = 8;
/// A layer of fewer multiply-adds takes about as long as sharing it out.
constexpr std::int64_t kWorkOfFork = 1'000'000;
constexpr std::int64_t kWorkOfPart = 600'000;

/// A node of the graph that computes: by a step, or, where there is none, by its module on the whole batch.
struct Layer {
  std::unique_ptr<PlanStep> step;
  nn::Module* module = nullptr;
  std::vector<std::size_t> inputs;  // values
  std::size_t output = 0;
};

/// Layers that run one after another on the same images: steps of one grain, or a module alone.
struct Segment {
  Grain grain = Grain::Either;
  Range layers;
};

/// The one node behind `index` if it is a max-pool of 2 x 2 and nobody else reads the value.
std::optional<std::size_t> pool_behind(const Graph& graph, std::size_t index) {
  const std::size_t reader = graph.last_reader({index}).index;
  if (graph.consumers({index}) != 1 || reader == index) {  // the output alone reads it
    return std::nullopt;
  }
  const auto* const pool = exactly<const nn::MaxPool2d>(graph.nodes()[reader].module.get());
  const bool fits =
      pool && pool->settings().kernel == 2 && pool->settings().stride == 2 && pool->settings().padding == 0;
  return fits ? std::optional(reader) : std::nullopt;
}

}  // namespace

/// Segments run in order. Those up to the next module form a region: of many images, each task of it takes its own
/// through all of its segments, so that what lies between two layers stays in the cache.
struct InferencePlan::Impl {
  Graph graph;  // keeps the modules
  std::int64_t batch;
  Shape input_shape = {};  // of a batch
  bool is_integer = false;
  bool takes_bytes = false;  // as input
  Slices tasks = {};

  std::vector<PlanValue> values = {};  // by node of the graph
  std::vector<PlanPlace> places = {};
  std::vector<Tensor> whole = {};  // by place: the whole batch; undefined for places of tasks
  std::vector<Layer> layers = {};
  std::vector<Segment> segments = {};
  std::shared_ptr<std::byte> task_memory = nullptr;
  std::size_t memory_bytes = 0;
  Arena arena = {};    // of modules
  Tensor reals = {};   // of pixels, where more than a quantize step reads them
  Tensor result = {};  // on the output's place
  std::atomic<bool> is_busy = false;

  void infer_values();
  void make_layers();
  void make_segments();
  bool is_of_tasks(std::size_t place) const;
  void place_values();
  std::size_t place_of(std::size_t value) const {
    return static_cast<std::size_t>(values[value].place - places.data());
  }

  bool reads_bytes() const;
  bool gives_input() const { return place_of(graph.output().index) == 0; }
  const Tensor& run_alone(const Tensor& images, bool are_pixels);
  void run(const Tensor& images);
  void run_task(Range range, std::int64_t task) const;
  void run_few(const Segment& segment) const;
  void run_shared(const PlanStep& step, Range images, std::int64_t task) const;
  void run_module(const Layer& layer);
};

/// Types and maps of all values, by running one image.
void InferencePlan::Impl::infer_values() {
  places.resize(graph.nodes().size());
  nn::Tape tape(&arena, nn::Tape::Mode::Inference);
  nn::Context context{.tape = tape};
  graph.forward(context, tape.constant(Tensor::zeros(graph.input_shape().batched(1), DType::F32)),
                [&](const Graph::Node& node, const nn::Variable& y) {
                  const bool is_open = node.module && node.module->kind() == "quantize" && !y.value().qparams();
                  check(!is_open, "plan: ", node.name, " still observes its range; freeze and convert the model first");
                  values.push_back({node.shape, y.dtype(), y.value().qparams(), &places[values.size()]});
                });
}

void InferencePlan::Impl::make_layers() {
  const std::vector<Graph::Node>& nodes = graph.nodes();
  std::vector<bool> is_done(nodes.size(), false);
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    if (is_done[i]) {
      continue;
    }
    Layer layer{.step = nullptr, .module = nodes[i].module.get(), .inputs = {}, .output = i};
    std::vector<const PlanValue*> inputs;
    for (const Graph::Handle input : nodes[i].inputs) {
      layer.inputs.push_back(input.index);
      inputs.push_back(&values[input.index]);
    }
    if (is_passed_on(nodes[i], *inputs[0])) {
      values[i].place = inputs[0]->place;
      continue;
    }
    if (const std::optional<std::size_t> pool = pool_behind(graph, i)) {
      layer.step = make_step(nodes[i], inputs, values[*pool], true);
      is_done[*pool] = layer.step != nullptr;
      layer.output = layer.step ? *pool : i;
    }
    if (!layer.step) {
      layer.step = make_step(nodes[i], inputs, values[i], false);
    }
    memory_bytes += layer.step ? layer.step->bytes() : 0;
    layers.push_back(std::move(layer));
  }
}

void InferencePlan::Impl::make_segments() {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    const Grain grain = layers[i].step ? layers[i].step->grain() : Grain::Either;
    const bool continues = i > 0 && layers[i].step && layers[i - 1].step;
    Segment* const last = segments.empty() ? nullptr : &segments.back();
    if (continues && (grain == Grain::Either || last->grain == Grain::Either || grain == last->grain)) {
      last->grain = last->grain == Grain::Either ? grain : last->grain;
      last->layers.end = index + 1;
    } else {
      segments.push_back({grain, {index, index + 1}});
    }
  }
}

/// Whether a place is written and read within one segment of steps alone.
bool InferencePlan::Impl::is_of_tasks(std::size_t place) const {
  if (place == 0 || place == place_of(graph.output().index)) {
    return false;
  }
  std::optional<std::size_t> only;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    for (auto i = segments[s].layers.begin; i < segments[s].layers.end; ++i) {
      const Layer& layer = layers[static_cast<std::size_t>(i)];
      const bool uses = place_of(layer.output) == place ||
                        std::ranges::any_of(layer.inputs, [&](std::size_t value) { return place_of(value) == place; });
      if (uses && (!layer.step || only.value_or(s) != s)) {
        return false;
      }
      only = uses ? s : only;
    }
  }
  return true;
}

void InferencePlan::Impl::place_values() {
  whole.resize(places.size());
  const auto aligned = [](std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; };
  const auto largest_task = static_cast<std::size_t>((batch + tasks.count - 1) / tasks.count);
  std::size_t task_bytes = 0;
  std::vector<std::pair<std::size_t, std::size_t>> offsets;  // of places of tasks
  for (const Segment& segment : segments) {
    for (auto i = segment.layers.begin; i < segment.layers.end; ++i) {
      const std::size_t index = place_of(layers[static_cast<std::size_t>(i)].output);
      const PlanValue& value = values[layers[static_cast<std::size_t>(i)].output];
      const auto elements = value.shape.elements();
      places[index].image_bytes = static_cast<std::size_t>(elements) * size_of(value.dtype);
      if (is_of_tasks(index)) {
        offsets.emplace_back(index, task_bytes);
        task_bytes += aligned(places[index].image_bytes * (segment.grain == Grain::Image ? 1 : largest_task));
        continue;
      }
      whole[index] = Tensor::empty(value.shape.batched(batch), value.dtype).with_qparams(value.qparams);
      memory_bytes += whole[index].bytes();
      places[index].base = whole[index].raw();
    }
  }
  // Tasks' memory a page and a line apart, so that the same values of two tasks do not fall onto the same cache sets.
  task_bytes = (task_bytes + 4095) / 4096 * 4096 + kAlignment;
  const std::size_t total = task_bytes * static_cast<std::size_t>(tasks.count);
  task_memory = allocate_aligned(total);
  memory_bytes += total;
  const PlanValue& output = values[graph.output().index];
  const Shape shape = output.shape.batched(batch);
  result = gives_input() ? Tensor::empty(shape, DType::F32)
                         : whole[place_of(graph.output().index)].reshape(shape).with_qparams(output.qparams);
  for (const auto& [index, offset] : offsets) {
    places[index].base = task_memory.get() + offset;
    places[index].task_bytes = task_bytes;
  }
}

/// A task's images through the segments in `range`.
void InferencePlan::Impl::run_task(Range range, std::int64_t task) const {
  const Range images = tasks[task];
  for (auto s = range.begin; s < range.end; ++s) {
    const Segment& segment = segments[static_cast<std::size_t>(s)];
    const std::int64_t step = segment.grain == Grain::Image ? 1 : images.size();
    for (std::int64_t image = images.begin; image < images.end; image += step) {
      for (auto i = segment.layers.begin; i < segment.layers.end; ++i) {
        const PlanStep& layer = *layers[static_cast<std::size_t>(i)].step;
        layer.run({image, image + step}, task, {0, layer.parts()});
      }
    }
  }
}

/// A step in parts, on all threads, if it is large enough.
void InferencePlan::Impl::run_shared(const PlanStep& step, Range images, std::int64_t task) const {
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
void InferencePlan::Impl::run_few(const Segment& segment) const {
  const std::int64_t step = segment.grain == Grain::Image ? 1 : batch;
  for (std::int64_t image = 0; image < batch; image += step) {
    for (auto i = segment.layers.begin; i < segment.layers.end; ++i) {
      run_shared(*layers[static_cast<std::size_t>(i)].step, {image, image + step}, 0);
    }
  }
}

/// Its module's own forward pass.
void InferencePlan::Impl::run_module(const Layer& layer) {
  nn::Tape tape(&arena, nn::Tape::Mode::Inference);
  nn::Context context{.tape = tape};
  std::vector<nn::Variable> inputs;
  for (const std::size_t value : layer.inputs) {
    inputs.push_back(tape.constant(
        whole[place_of(value)].reshape(values[value].shape.batched(batch)).with_qparams(values[value].qparams)));
  }
  whole[place_of(layer.output)].copy_from(layer.module->forward(context, inputs).value());
}

/// Whether only quantize steps read the input, which take bytes too.
bool InferencePlan::Impl::reads_bytes() const {
  return !gives_input() && std::ranges::none_of(layers, [&](const Layer& layer) {
    const bool reads = std::ranges::any_of(layer.inputs, [&](std::size_t value) { return place_of(value) == 0; });
    return reads && !(layer.step && exactly<Quantize>(layer.module) != nullptr);
  });
}

/// `images`: f32, or u8 if the plan takes bytes.
void InferencePlan::Impl::run(const Tensor& images) {
  whole[0] = images;
  places[0] = {.base = whole[0].raw(),
               .image_bytes = static_cast<std::size_t>(graph.input_shape().elements()) * size_of(images.dtype()),
               .holds_pixels = images.dtype() == DType::U8};
  const auto count = static_cast<std::int64_t>(segments.size());
  const auto is_module = [&](std::int64_t s) {
    return layers[static_cast<std::size_t>(segments[static_cast<std::size_t>(s)].layers.begin)].step == nullptr;
  };
  for (std::int64_t s = 0; s < count;) {
    Range range{s, s + 1};
    if (is_module(s)) {
      run_module(layers[static_cast<std::size_t>(segments[static_cast<std::size_t>(s)].layers.begin)]);
    } else if (tasks.count == 1) {
      run_few(segments[static_cast<std::size_t>(s)]);
    } else {
      while (range.end < count && !is_module(range.end)) {
        ++range.end;
      }
      parallel_slices(tasks.count, [this, &range](std::int64_t task) { run_task(range, task); });
    }
    s = range.end;
  }
  if (gives_input()) {
    result.copy_from(images.reshape(result.shape()));
  }
}

/// `run` for one caller at a time: the buffers are the plan's.
const Tensor& InferencePlan::Impl::run_alone(const Tensor& images, bool are_pixels) {
  check(!is_busy.exchange(true), "plan: it is run by two threads at once, and they would share its buffers; make a ",
        "plan for each thread");
  const std::unique_ptr<std::atomic<bool>, void (*)(std::atomic<bool>*)> end(&is_busy,
                                                                             [](auto* busy) { busy->store(false); });
  if (!are_pixels || takes_bytes) {
    run(images);
    return result;
  }
  if (!reals.defined()) {
    reals = Tensor::empty(images.shape(), DType::F32);
  }
  std::ranges::transform(images.data<std::uint8_t>(), reals.data<float>().begin(),
                         [](std::uint8_t p) { return static_cast<float>(p) / 255.0F; });
  run(reals);
  return result;
}

InferencePlan::InferencePlan(const Graph& graph, std::int64_t batch)
    : impl_(new Impl{.graph = nn::fuse_relu(graph), .batch = batch}) {
  check(batch >= 1, "plan: expected a batch of at least 1, got ", batch);
  bool has_convolution = false;
  for (const Graph::Node& node : graph.nodes()) {
    const std::string_view kind = node.module ? node.module->kind() : "";
    check(!kind.starts_with("qat_"), "plan: ", node.name, " is of a prepared model; convert it first");
    impl_->is_integer = impl_->is_integer || kind.starts_with("int8_");
    has_convolution = has_convolution || kind == "conv2d";
  }
  const std::int64_t of_float = has_convolution ? kFloatTaskImages : kFloatTaskRows;
  const std::int64_t most = impl_->is_integer ? kTaskImages : of_float;
  impl_->tasks = batch < kMany
                     ? Slices{batch, 1}
                     : slice_rows(batch, std::min(most, has_convolution || impl_->is_integer ? batch / 4 : batch));
  impl_->input_shape = graph.input_shape().batched(batch);
  impl_->infer_values();
  impl_->make_layers();
  impl_->make_segments();
  impl_->place_values();
  impl_->takes_bytes = impl_->reads_bytes();
}

InferencePlan::~InferencePlan() = default;
InferencePlan::InferencePlan(InferencePlan&&) noexcept = default;
InferencePlan& InferencePlan::operator=(InferencePlan&&) noexcept = default;

const Tensor& InferencePlan::run(const Tensor& images) {
  const Shape& shape = impl_->input_shape;
  check(images.dtype() == DType::F32 && images.shape() == shape, "plan: expected images f32 ", shape, ", got ",
        images.dtype(), " ", images.shape());
  return impl_->run_alone(images, false);
}

const Tensor& InferencePlan::run_pixels(const Tensor& pixels) {
  const Shape& shape = impl_->input_shape;
  check(pixels.dtype() == DType::U8 && pixels.shape() == shape, "plan: expected pixels u8 ", shape, ", got ",
        pixels.dtype(), " ", pixels.shape());
  return impl_->run_alone(pixels, true);
}

std::int64_t InferencePlan::batch() const { return impl_->batch; }
const Shape& InferencePlan::input_shape() const { return impl_->graph.input_shape(); }
bool InferencePlan::is_integer() const { return impl_->is_integer; }
std::size_t InferencePlan::memory_bytes() const { return impl_->memory_bytes; }

}  // namespace detent::quant
