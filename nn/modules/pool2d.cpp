#include "detent/nn/modules/pool2d.h"

#include <nlohmann/json.hpp>

#include "detent/io/options.h"

namespace detent::nn {
namespace {

/// The index of a window's winner is kept in a byte.
constexpr std::int64_t kMaxWindow = 256;

}  // namespace

void Pool2d::Options::describe(OptionList& list) {
  list.extent("kernel", kernel, {.min = 1}, "the window");
  list.extent("stride", stride, {}, "from window to window; 0: the window's size");
  list.padding("padding", padding, "lines and columns around the image, at most half the window");
}

Pool2d::Pool2d(Options options) : options_(std::move(options)) {
  check_options("pool2d", options_);
  options_.stride.h = options_.stride.h == 0 ? options_.kernel.h : options_.stride.h;
  options_.stride.w = options_.stride.w == 0 ? options_.kernel.w : options_.stride.w;
}

nlohmann::json Pool2d::options() const { return write_options(options_); }

kernels::PoolShape Pool2d::pool_shape(const Shape& example, std::int64_t batch) const {
  check(example.rank() == 3, kind(), ": expected images [H, W, C], got ", example);
  const kernels::PoolShape shape{.n = batch,
                                 .h = example[0],
                                 .w = example[1],
                                 .c = example[2],
                                 .kh = options_.kernel.h,
                                 .kw = options_.kernel.w,
                                 .stride_h = options_.stride.h,
                                 .stride_w = options_.stride.w,
                                 .padding = options_.padding};
  shape.validate();
  return shape;
}

Shape Pool2d::output_shape(std::span<const Shape> inputs) const {
  const kernels::PoolShape shape = pool_shape(inputs[0], 1);
  return {shape.out_h(), shape.out_w(), shape.c};
}

autograd::Pool2dOptions Pool2d::op_options() const {
  return {.kernel_h = options_.kernel.h,
          .kernel_w = options_.kernel.w,
          .stride_h = options_.stride.h,
          .stride_w = options_.stride.w,
          .padding = options_.padding};
}

std::shared_ptr<Module> MaxPool2d::from_options(const nlohmann::json& options) {
  return std::make_shared<MaxPool2d>(read_options<Options>("max_pool2d", options));
}

Shape MaxPool2d::output_shape(std::span<const Shape> inputs) const {
  check(pool_shape(inputs[0], 1).window() <= kMaxWindow, "max_pool2d: expected a window of at most ", kMaxWindow,
        " pixels, got ", settings().kernel);
  return Pool2d::output_shape(inputs);
}

Variable MaxPool2d::forward(Context&, std::span<const Variable> inputs) {
  return autograd::max_pool2d(inputs[0], op_options());
}

std::shared_ptr<Module> AvgPool2d::from_options(const nlohmann::json& options) {
  return std::make_shared<AvgPool2d>(read_options<Options>("avg_pool2d", options));
}

Variable AvgPool2d::forward(Context&, std::span<const Variable> inputs) {
  return autograd::avg_pool2d(inputs[0], op_options());
}

nlohmann::json GlobalAvgPool2d::options() const { return nlohmann::json::object(); }

std::shared_ptr<Module> GlobalAvgPool2d::from_options(const nlohmann::json& options) {
  read_options<NoOptions>("global_avg_pool2d", options);
  return std::make_shared<GlobalAvgPool2d>();
}

Shape GlobalAvgPool2d::output_shape(std::span<const Shape> inputs) const {
  check(inputs[0].rank() == 3, "global_avg_pool2d: expected images [H, W, C], got ", inputs[0]);
  return {inputs[0][2]};
}

Variable GlobalAvgPool2d::forward(Context&, std::span<const Variable> inputs) {
  return autograd::global_avg_pool2d(inputs[0]);
}

}  // namespace detent::nn
