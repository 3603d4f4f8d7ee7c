#include <algorithm>
#include <optional>

#include "detent/runtime/plan_impl.h"

/// How a plan is made from a model: layers, segments, places.
namespace detent::runtime {
namespace {

/// Images of a task, where there are enough for several; of float models, whose weights are four times as large and the
/// more often read the fewer these are; and of those without convolutions, where that decides.
constexpr std::int64_t kTaskImages = 16;
constexpr std::int64_t kFloatTaskImages = 32;
constexpr std::int64_t kFloatTaskRows = 64;
/// Fewer images than this go through the layers one by one, and layers are shared out in parts.
constexpr std::int64_t kMany = 8;

std::vector<std::size_t> readers_of(const Model& model) {
  std::vector<std::size_t> readers(model.values(), 0);
  for (const Node& node : model.nodes) {
    for (const ValueId value : node.inputs) {
      ++readers[value];
    }
  }
  ++readers[model.output];
  return readers;
}

/// By node, the one node behind it if that is a max-pool of 2 x 2 and nobody else reads the value.
std::vector<std::optional<std::size_t>> pools_behind(const Model& model) {
  const std::vector<std::size_t> readers = readers_of(model);
  std::vector<std::optional<std::size_t>> result(model.nodes.size());
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const auto* const pool = std::get_if<Pool>(&model.nodes[i].op);
    if (pool == nullptr || pool->kind != PoolKind::Max || model.node_of(model.nodes[i].inputs[0]) == nullptr) {
      continue;
    }
    const ValueId value = model.nodes[i].inputs[0];
    const kernels::PoolShape& given = pool->shape;
    const kernels::PoolShape wanted{
        .n = given.n, .h = given.h, .w = given.w, .c = given.c, .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2};
    if (readers[value] == 1 && given == wanted) {
      result[value - model.inputs.size()] = i;
    }
  }
  return result;
}

/// By node, the one node behind it if that is a sum whose other input is there before, and nobody else reads the value.
std::vector<std::optional<std::size_t>> sums_behind(const Model& model) {
  const std::vector<std::size_t> readers = readers_of(model);
  std::vector<std::optional<std::size_t>> result(model.nodes.size());
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const std::vector<ValueId>& inputs = model.nodes[i].inputs;
    if (!std::holds_alternative<Add>(model.nodes[i].op)) {
      continue;
    }
    const ValueId later = std::max(inputs[0], inputs[1]);
    if (readers[later] == 1 && model.node_of(later) != nullptr) {
      result[later - model.inputs.size()] = i;
    }
  }
  return result;
}

/// Whether a node is a convolution of floats.
bool is_float_convolution(const Model& model, const Node& node) {
  const kernels::ConvShape* const shape = product_shape(node.op);
  return shape != nullptr && !model.type(node.inputs[0]).is_codes() && !shape->is_linear();
}

Slices tasks_of(const Model& model, std::int64_t batch) {
  const bool is_integer = model.is_integer();
  const bool has_convolution =
      std::ranges::any_of(model.nodes, [&](const Node& node) { return is_float_convolution(model, node); });
  const std::int64_t of_float = has_convolution ? kFloatTaskImages : kFloatTaskRows;
  const std::int64_t most = is_integer ? kTaskImages : of_float;
  return batch < kMany ? Slices{batch, 1}
                       : slice_rows(batch, std::min(most, has_convolution || is_integer ? batch / 4 : batch));
}

}  // namespace

void Plan::Impl::build() {
  tasks = tasks_of(model, batch);
  for (const Input& input : model.inputs) {
    input_shapes.push_back(input.type.shape.batched(batch));
  }
  make_layers();
  make_segments();
  place_values();
  for (std::int64_t s = 0; tasks.count == 1 && s < static_cast<std::int64_t>(segments.size());) {
    const Range range = segments_of_region(s);
    if (segment(s).grain != Grain::Whole) {
      regions.push_back(region_of(range));
    }
    s = segment(s).grain == Grain::Whole ? s + 1 : range.end;
  }
  takes_bytes = reads_bytes();
  if (options.keeps_values) {
    show_values();
  }
  release_copied();
}

/// Lets go of the model's tensors of which steps have copies.
void Plan::Impl::release_copied() {
  for (Node& node : model.nodes) {
    if (auto* const product = std::get_if<Product>(&node.op)) {
      product->weight = product->bias = {};
    } else if (auto* const hybrid = std::get_if<HybridProduct>(&node.op)) {
      hybrid->weight = hybrid->bias = {};
    } else if (auto* const lookup = std::get_if<Lookup>(&node.op)) {
      lookup->table = {};
    } else if (auto* const softmax = std::get_if<Softmax>(&node.op)) {
      softmax->table = {};
    }
  }
}

void Plan::Impl::add_layer(MadeStep step, std::size_t node, std::vector<ValueId> inputs, ValueId output) {
  memory_bytes += step->bytes();
  layers.push_back({std::move(step), node, std::move(inputs), output});
}

/// A product and the node behind it in one step; none where that cannot be.
Plan::Impl::FusedStep Plan::Impl::fused_product(std::size_t i, const Fusions& fusions, const StepRequest& alone) {
  const auto* const product = std::get_if<Product>(&model.nodes[i].op);
  const auto* const hybrid = std::get_if<HybridProduct>(&model.nodes[i].op);
  const bool may_pool = (product != nullptr || hybrid != nullptr) && fusions.pools[i];
  if (!may_pool && (product == nullptr || !fusions.sums[i])) {
    return {};
  }
  const std::size_t behind = fusions.pools[i] ? *fusions.pools[i] : *fusions.sums[i];
  FusedStep fused{.behind = behind, .inputs = model.nodes[i].inputs, .output = model.value_of(behind)};
  std::vector<const PlanValue*> inputs = alone.inputs;
  if (fusions.sums[i]) {
    const std::vector<ValueId>& terms = model.nodes[behind].inputs;
    fused.inputs.push_back(std::min(terms[0], terms[1]));
    inputs.push_back(&values[fused.inputs.back()]);
  }
  const StepRequest request{.node = alone.node,
                            .inputs = std::move(inputs),
                            .output = values[fused.output],
                            .whole = alone.whole,
                            .batch = alone.batch,
                            .arena = alone.arena};
  if (hybrid != nullptr) {
    fused.step = make_pooled_hybrid(*hybrid, request);
  } else {
    fused.step = may_pool ? make_pooled_product(*product, request)
                          : make_added_product(*product, std::get<Add>(model.nodes[behind].op), alone.output, request);
  }
  return fused;
}

void Plan::Impl::make_layers() {
  places.resize(model.values());
  for (ValueId value = 0; value < model.values(); ++value) {
    values.push_back({&model.type(value), &places[value]});
  }
  const bool whole = model.is_integer() || options.keeps_values;
  const Fusions fusions{pools_behind(model), sums_behind(model)};
  std::vector<bool> is_done(model.nodes.size(), false);
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const Node& node = model.nodes[i];
    if (is_done[i]) {
      continue;
    }
    const ValueId value = model.value_of(i);
    std::vector<const PlanValue*> inputs;
    for (const ValueId input : node.inputs) {
      inputs.push_back(&values[input]);
    }
    if (is_passed_on(node)) {
      values[value].place = inputs[0]->place;
      continue;
    }
    const StepRequest request{
        .node = node, .inputs = inputs, .output = values[value], .whole = whole, .batch = batch, .arena = &arena};
    FusedStep fused = fused_product(i, fusions, request);
    if (!fused.step || options.keeps_values) {
      add_layer(make_step(request), i, node.inputs, value);
    }
    if (fused.step) {
      is_done[fused.behind] = true;
      add_layer(std::move(fused.step), i, std::move(fused.inputs), fused.output);
    }
  }
}

void Plan::Impl::make_segments() {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    const Grain grain = layers[i].step->grain();
    Segment* const last = segments.empty() ? nullptr : &segments.back();
    const bool continues = last != nullptr && grain != Grain::Whole && last->grain != Grain::Whole;
    if (continues && (grain == Grain::Either || last->grain == Grain::Either || grain == last->grain)) {
      last->grain = last->grain == Grain::Either ? grain : last->grain;
      last->layers.end = index + 1;
    } else {
      segments.push_back({grain, {index, index + 1}});
    }
  }
}

/// By place, whether it is written and read within one segment of tasks alone.
std::vector<bool> Plan::Impl::places_of_tasks() const {
  std::vector<bool> are_of_tasks(places.size(), !options.keeps_values);
  std::vector<std::optional<std::int64_t>> only(places.size());
  for (std::int64_t s = 0; s < static_cast<std::int64_t>(segments.size()); ++s) {
    const auto use = [&](ValueId value) {
      const std::size_t place = place_of(value);
      are_of_tasks[place] = are_of_tasks[place] && segment(s).grain != Grain::Whole && only[place].value_or(s) == s;
      only[place] = s;
    };
    for (auto i = segment(s).layers.begin; i < segment(s).layers.end; ++i) {
      std::ranges::for_each(layer(i).inputs, use);
      use(layer(i).output);
    }
  }
  std::fill_n(are_of_tasks.begin(), model.inputs.size(), false);
  are_of_tasks[place_of(model.output)] = false;
  return are_of_tasks;
}

void Plan::Impl::place_values() {
  const auto aligned = [](std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; };
  const auto largest_task = static_cast<std::size_t>((batch + tasks.count - 1) / tasks.count);
  const std::vector<bool> are_of_tasks = places_of_tasks();
  std::size_t task_bytes = 0;
  std::vector<std::pair<std::size_t, std::size_t>> offsets;  // of places of tasks
  for (const Segment& segment : segments) {
    for (auto i = segment.layers.begin; i < segment.layers.end; ++i) {
      const std::size_t index = place_of(layer(i).output);
      const ValueType& type = model.type(layer(i).output);
      PlanPlace& place = places[index];
      place.image_bytes = static_cast<std::size_t>(type.shape.elements()) * size_of(type.dtype);
      if (are_of_tasks[index]) {
        offsets.emplace_back(index, task_bytes);
        task_bytes += aligned(place.image_bytes * (segment.grain == Grain::Image ? 1 : largest_task));
        continue;
      }
      place.whole = Tensor::empty(type.shape.batched(batch), type.dtype).with_qparams(type.qparams);
      memory_bytes += place.whole.bytes();
      place.base = place.whole.raw();
    }
  }
  // Tasks' memory a page and a line apart, so that the same values of two tasks do not fall onto the same cache sets.
  task_bytes = (task_bytes + 4095) / 4096 * 4096 + kAlignment;
  const std::size_t total = task_bytes * static_cast<std::size_t>(tasks.count);
  task_memory = allocate_aligned(total);
  memory_bytes += total;
  for (const auto& [index, offset] : offsets) {
    places[index].base = task_memory.get() + offset;
    places[index].task_bytes = task_bytes;
  }
  const ValueType& output = model.type(model.output);
  result = gives_input() ? Tensor::empty(output.shape.batched(batch), output.dtype).with_qparams(output.qparams)
                         : values[model.output].tensor(batch);
}

/// The values that `value` shows; those of inputs are the run's.
void Plan::Impl::show_values() {
  shown.resize(values.size());
  for (ValueId value = 0; value < values.size(); ++value) {
    if (place_of(value) >= model.inputs.size()) {
      shown[value] = values[value].tensor(batch);
    }
  }
}

/// Whether the model has one input, and only quantize steps read it, which take bytes too.
bool Plan::Impl::reads_bytes() const {
  return model.inputs.size() == 1 && !gives_input() && std::ranges::none_of(layers, [&](const Layer& reader) {
           const bool reads = std::ranges::any_of(reader.inputs, [&](ValueId value) { return place_of(value) == 0; });
           return reads && !reader.step->takes_pixels();
         });
}

}  // namespace detent::runtime
