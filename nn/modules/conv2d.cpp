#include "detent/nn/modules/conv2d.h"

#include <nlohmann/json.hpp>

namespace detent::nn {

void Conv2d::Options::describe(OptionList& list) {
  list.integer("out_channels", out_channels, {.min = 1, .must_be_set = true}, "output channels");
  list.extent("kernel", kernel, {.min = 1}, "the window");
  list.extent("stride", stride, {.min = 1}, "from window to window");
  list.padding("padding", padding, "lines and columns of zeros around the image");
  list.extent("dilation", dilation, {.min = 1}, "from pixel to pixel of a window");
  list.integer("groups", groups, {.min = 1}, "divides input and output channels; as many as channels: depthwise");
  list.boolean("bias", bias, "whether there is a bias");
  list.choice("init", init, init_names(), "how weights start");
  list.boolean("relu", relu, "whether max(0, .) follows in the module's own kernel");
  list.integer("in_channels", in_channels, {}, "input channels; 0: taken from the input");
}

Conv2d::Conv2d(Options options) : options_(std::move(options)) { check_options(kind(), options_); }

nlohmann::json Conv2d::options() const { return write_options(options_); }

std::shared_ptr<Module> Conv2d::from_options(const nlohmann::json& options) {
  return std::make_shared<Conv2d>(read_options<Options>("conv2d", options));
}

kernels::ConvShape Conv2d::conv_shape(const Shape& example, std::int64_t batch) const {
  check(example.rank() == 3, "conv2d: expected images [H, W, C], got ", example);
  check(options_.in_channels == 0 || example[2] == options_.in_channels, "conv2d: expected ", options_.in_channels,
        " input channels, got images ", example);
  const kernels::ConvShape shape{.n = batch,
                                 .h = example[0],
                                 .w = example[1],
                                 .c = example[2],
                                 .o = options_.out_channels,
                                 .kh = options_.kernel.h,
                                 .kw = options_.kernel.w,
                                 .stride_h = options_.stride.h,
                                 .stride_w = options_.stride.w,
                                 .padding = options_.padding,
                                 .dilation_h = options_.dilation.h,
                                 .dilation_w = options_.dilation.w,
                                 .groups = options_.groups};
  shape.validate();
  return shape;
}

Shape Conv2d::weight_shape() const {
  return {options_.out_channels, options_.kernel.h, options_.kernel.w, options_.in_channels / options_.groups};
}

void Conv2d::bind(std::span<const Shape> inputs) {
  const kernels::ConvShape shape = conv_shape(inputs[0], 1);
  options_.in_channels = shape.c;
  check_elements("conv2d: weight", weight_shape());
}

Shape Conv2d::output_shape(std::span<const Shape> inputs) const {
  const kernels::ConvShape shape = conv_shape(inputs[0], 1);
  return {shape.out_h(), shape.out_w(), shape.o};
}

Variable Conv2d::forward(Context& context, std::span<const Variable> inputs) {
  const Variable weight = on_tape(context, *this, weight_);
  const Variable bias = options_.bias ? on_tape(context, *this, bias_) : Variable();
  return autograd::conv2d(inputs[0], weight, bias,
                          {.stride_h = options_.stride.h,
                           .stride_w = options_.stride.w,
                           .padding = options_.padding,
                           .dilation_h = options_.dilation.h,
                           .dilation_w = options_.dilation.w,
                           .groups = options_.groups,
                           .product = {.dtype = context.product_dtype, .relu = options_.relu}});
}

std::vector<Slot> Conv2d::slots() {
  std::vector<Slot> slots{{"weight", &weight_.value, &weight_, weight_shape()}};
  if (options_.bias) {
    slots.push_back({"bias", &bias_.value, &bias_, Shape{options_.out_channels}});
  }
  return slots;
}

void Conv2d::initialize(RandomStream& random) {
  check(options_.in_channels > 0, "conv2d: in_channels is not known: set it, or add the module to a graph");
  allocate(weight_.value, weight_shape());
  init_weight(weight_.value, options_.init, random);
  if (options_.bias) {
    allocate(bias_.value, {options_.out_channels});
    init_bias(bias_.value, weight_shape(), options_.init, random);
  }
}

std::int64_t Conv2d::multiply_adds(std::span<const Shape> inputs) const {
  const kernels::ConvShape shape = conv_shape(inputs[0], 1);
  return shape.out_h() * shape.out_w() * shape.weight_elements();
}

}  // namespace detent::nn
