#include "detent/nn/modules/conv2d.h"

#include <nlohmann/json.hpp>

#include "detent/io/option_reader.h"

namespace detent::nn {

Conv2d::Conv2d(Options options) : options_(std::move(options)) {
  check(options_.out_channels != 0, kind(), ": out_channels: expected at least 1, got 0: set it");
  check_extent(kind(), "out_channels", options_.out_channels);
  check_extent(kind(), "kernel", options_.kernel);
  check_extent(kind(), "stride", options_.stride);
  check_extent(kind(), "padding", options_.padding, 0);
  check_extent(kind(), "dilation", options_.dilation);
  check_extent(kind(), "groups", options_.groups);
  check_extent(kind(), "in_channels", options_.in_channels, 0);
}

nlohmann::json Conv2d::options() const {
  return {{"out_channels", options_.out_channels},
          {"kernel", options_.kernel},
          {"stride", options_.stride},
          {"padding", options_.padding},
          {"dilation", options_.dilation},
          {"groups", options_.groups},
          {"bias", options_.bias},
          {"init", name_of(options_.init)},
          {"relu", options_.relu},
          {"in_channels", options_.in_channels}};
}

std::shared_ptr<Module> Conv2d::from_options(const nlohmann::json& options) {
  OptionReader reader("conv2d", options);
  const Options defaults;
  Options read{.out_channels = reader.integer("out_channels", defaults.out_channels),
               .kernel = reader.integer("kernel", defaults.kernel),
               .stride = reader.integer("stride", defaults.stride),
               .padding = reader.integer("padding", defaults.padding),
               .dilation = reader.integer("dilation", defaults.dilation),
               .groups = reader.integer("groups", defaults.groups),
               .bias = reader.boolean("bias", defaults.bias),
               .init = init_from_name(reader.text("init", name_of(defaults.init))),
               .relu = reader.boolean("relu", defaults.relu),
               .in_channels = reader.integer("in_channels", defaults.in_channels)};
  reader.finish();
  return std::make_shared<Conv2d>(std::move(read));
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
                                 .kh = options_.kernel,
                                 .kw = options_.kernel,
                                 .stride_h = options_.stride,
                                 .stride_w = options_.stride,
                                 .padding_h = options_.padding,
                                 .padding_w = options_.padding,
                                 .dilation_h = options_.dilation,
                                 .dilation_w = options_.dilation,
                                 .groups = options_.groups};
  shape.validate();
  return shape;
}

Shape Conv2d::weight_shape() const {
  return {options_.out_channels, options_.kernel, options_.kernel, options_.in_channels / options_.groups};
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
                          {.stride_h = options_.stride,
                           .stride_w = options_.stride,
                           .padding_h = options_.padding,
                           .padding_w = options_.padding,
                           .dilation_h = options_.dilation,
                           .dilation_w = options_.dilation,
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
