// Pools, and means over the image.
#include <algorithm>

#include "detent/interchange/onnx/in/operations.h"
#include "detent/interchange/onnx/in/windows.h"
#include "detent/nn/modules/pool2d.h"

namespace detent::onnx {
namespace {

const Value& image(Builder& builder, const Node& node) {
  const Value& x = builder.computed(node, 0);
  check(x.dims.size() == 3 && x.channels_first, "expected images [N, C, H, W], got examples of ", to_text(x.dims));
  return x;
}

template <typename Pool>
void pool(Builder& builder, const Node& node) {
  const Value& x = image(builder, node);
  check(node.has("kernel_shape"), "it has no kernel_shape");
  const Extent2d kernel = extent_of(node, "kernel_shape", 1);
  const Windows windows = windows_of(node, kernel, {x.dims[1], x.dims[2]}, 0);
  check(windows.dilation == Extent2d(1), "its windows are dilated; expected pools of neighbouring pixels");
  constexpr bool is_mean = std::is_same_v<Pool, nn::AvgPool2d>;
  check(!is_mean || windows.padding == Padding2d() || node.integer("count_include_pad", 0) != 0,
        "it leaves the padding out of its means; export it with count_include_pad, or without padding");
  check(!is_mean || node.integer("ceil_mode", 0) == 0 || windows.padding == Padding2d(),
        "its last windows reach over the edge of the image (ceil_mode)");
  const Dims dims{x.dims[0], windows.out.h, windows.out.w};
  const nn::Graph::Handle handle = builder.at(node, 0);
  if (builder.graph.node(handle).shape.rank() == 1) {
    check(kernel == Extent2d(1) && windows.padding == Padding2d(), "it pools an image of one pixel");
    builder.give(node, handle, dims, true);
    return;
  }
  auto module = std::make_shared<Pool>(
      nn::Pool2d::Options{.kernel = kernel, .stride = windows.stride, .padding = windows.padding});
  builder.give(node, builder.add(node, std::move(module), {handle}), dims, true);
}

/// [H, W, C] -> [C], which the format may see as [C, 1, 1].
void give_mean_of_image(Builder& builder, const Node& node, Dims dims, bool channels_first) {
  nn::Graph::Handle x = builder.at(node, 0);
  if (builder.graph.node(x).shape.rank() == 3) {
    x = builder.add(node, std::make_shared<nn::GlobalAvgPool2d>(), {x});
  }
  builder.give(node, x, std::move(dims), channels_first);
}

void global_average_pool(Builder& builder, const Node& node) {
  const std::int64_t channels = image(builder, node).dims[0];
  give_mean_of_image(builder, node, {channels, 1, 1}, true);
}

void global_max_pool(Builder& builder, const Node& node) {
  const Value& x = image(builder, node);
  const Dims dims{x.dims[0], 1, 1};
  const Extent2d window{x.dims[1], x.dims[2]};
  nn::Graph::Handle handle = builder.at(node, 0);
  if (builder.graph.node(handle).shape.rank() == 3) {
    handle = builder.add(node, std::make_shared<nn::MaxPool2d>(nn::Pool2d::Options{.kernel = window}), {handle});
  }
  builder.give(node, handle, dims, true);
}

void reduce_mean(Builder& builder, const Node& node) {
  const auto axes = builder.integers(node, 1, "axes");
  const Value& x = builder.computed(node, 0);
  const std::size_t rank = x.dims.size() + 1;
  std::vector<std::size_t> sorted;
  for (const std::int64_t axis : axes.value_or(std::vector<std::int64_t>())) {
    sorted.push_back(axis_of(axis, rank));
  }
  std::ranges::sort(sorted);
  const std::vector<std::size_t> pixels =
      x.channels_first ? std::vector<std::size_t>{2, 3} : std::vector<std::size_t>{1, 2};
  check(rank == 4 && sorted == pixels, "it is a mean over other axes than the height and width of an image");
  const bool keeps = node.integer("keepdims", 1) != 0;
  const std::int64_t channels = channels_of(x);
  const bool channels_first = keeps && x.channels_first;
  const Dims dims = !keeps ? Dims{channels} : channels_first ? Dims{channels, 1, 1} : Dims{1, 1, channels};
  give_mean_of_image(builder, node, dims, channels_first);
}

}  // namespace

void add_pools(Operations& table) {
  table["MaxPool"] = pool<nn::MaxPool2d>;
  table["AveragePool"] = pool<nn::AvgPool2d>;
  table["GlobalAveragePool"] = global_average_pool;
  table["GlobalMaxPool"] = global_max_pool;
  table["ReduceMean"] = reduce_mean;
}

}  // namespace detent::onnx
