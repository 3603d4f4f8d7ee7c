#include "detent/kernels/product/onednn/onednn_plan.h"

namespace detent::kernels::onednn {
namespace {

/// The geometry of a convolution in oneDNN's terms.
struct Geometry {
  explicit Geometry(const ConvShape& s)
      : x{s.n, s.c, s.h, s.w},
        y{s.n, s.o, s.out_h(), s.out_w()},
        weight{s.o, s.c, s.kh, s.kw},
        strides{s.stride_h, s.stride_w},
        dilations{s.dilation_h - 1, s.dilation_w - 1},
        padding_l{s.padding.top, s.padding.left},
        padding_r{s.padding.bottom, s.padding.right},
        plain_weight(Tag::ohwi) {
    if (s.groups > 1) {
      weight = {s.groups, s.o / s.groups, s.c / s.groups, s.kh, s.kw};
      plain_weight = Tag::gohwi;
    }
  }
  Dims x, y, weight, strides, dilations, padding_l, padding_r;
  Tag plain_weight;
};

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

Plan make_forward(const ConvShape& shape, const Geometry& g, const ConvOptions& options, const Desc* layout) {
  Plan plan;
  plan.has_bias = options.has_bias;
  plan.has_zero_point = options.product == Product::Integer;
  plan.bias = plan.has_bias ? Desc({shape.o}, Type::f32, Tag::x) : Desc();
  const Desc x(g.x, type_of(options.dtype), Tag::nhwc);
  const Desc y(g.y, type_of(options.out), Tag::nhwc);
  const Desc weight = layout ? *layout : Desc(g.weight, weight_type(options.dtype), Tag::any);
  const auto desc = primitive_desc<dnnl::convolution_forward>(
      engine(), attributes(options.relu, plan.has_zero_point), dnnl::prop_kind::forward_inference, kDirect, x, weight,
      plan.bias, y, g.strides, g.dilations, g.padding_l, g.padding_r);
  plan.primitive = dnnl::convolution_forward(desc);
  plan.a = desc.src_desc();
  plan.b = plan.packed_weight = desc.weights_desc();
  plan.y = desc.dst_desc();
  describe(plan, desc);
  return plan;
}

/// What oneDNN wants to know of the forward product when it makes a backward one.
dnnl::convolution_forward::primitive_desc forward_hint(const Geometry& g, const Desc& x, const Desc& weight,
                                                       const Desc& y) {
  return primitive_desc<dnnl::convolution_forward>(engine(), attributes(false, false),
                                                   dnnl::prop_kind::forward_training, kDirect, x, weight, y, g.strides,
                                                   g.dilations, g.padding_l, g.padding_r);
}

Plan make_backward_data(const Geometry& g, const ConvOptions& options, const Desc* layout) {
  Plan plan;
  const Type type = type_of(options.dtype);
  const Desc x(g.x, type, Tag::nhwc);
  const Desc dx(g.x, type_of(options.out), Tag::nhwc);
  const Desc dy(g.y, type, Tag::nhwc);
  const Desc any(g.weight, type, Tag::any);
  const auto desc = gradient_desc<dnnl::convolution_backward_data>(
      engine(), attributes(false, false), forward_hint(g, x, any, dy), kDirect, dx, layout ? *layout : any, dy,
      g.strides, g.dilations, g.padding_l, g.padding_r);
  plan.primitive = dnnl::convolution_backward_data(desc);
  plan.a = desc.diff_dst_desc();
  plan.b = plan.packed_weight = desc.weights_desc();
  plan.y = desc.diff_src_desc();
  plan.a_id = DNNL_ARG_DIFF_DST;
  plan.y_id = DNNL_ARG_DIFF_SRC;
  describe(plan, desc);
  return plan;
}

Plan make_backward_weights(const Geometry& g, const ConvOptions& options, const Desc* layout) {
  Plan plan;
  const Type type = type_of(options.dtype);
  const Desc x(g.x, type, Tag::nhwc);
  const Desc dy(g.y, type, Tag::nhwc);
  const Desc dw = layout ? *layout : Desc(g.weight, Type::f32, Tag::any);
  const auto desc = gradient_desc<dnnl::convolution_backward_weights>(
      engine(), attributes(false, false), forward_hint(g, x, Desc(g.weight, type, Tag::any), dy), kDirect, x, dw, dy,
      g.strides, g.dilations, g.padding_l, g.padding_r);
  plan.primitive = dnnl::convolution_backward_weights(desc);
  plan.a = desc.src_desc();
  plan.b = desc.diff_dst_desc();
  plan.y = plan.packed_weight = desc.diff_weights_desc();
  plan.b_id = DNNL_ARG_DIFF_DST;
  plan.y_id = DNNL_ARG_DIFF_WEIGHTS;
  describe(plan, desc);
  return plan;
}

Plan make_conv(const ConvShape& shape, const ConvOptions& options, const Desc* layout) {
  const Geometry g(shape);
  Plan plan = options.product == Product::BackwardData      ? make_backward_data(g, options, layout)
              : options.product == Product::BackwardWeights ? make_backward_weights(g, options, layout)
                                                            : make_forward(shape, g, options, layout);
  const Type plain = options.product == Product::BackwardWeights ? Type::f32 : weight_type(options.dtype);
  plan.plain_weight = Desc(g.weight, plain, g.plain_weight);
  return plan;
}

/// What a product adds up in, whatever it is stored as: a layout must not depend on the stored type.
DType s32_or_f32(Product product) { return product == Product::Integer ? DType::S32 : DType::F32; }

}  // namespace

PlanPointer conv_plan(const ConvShape& s, ConvOptions options) {
  const Key key{1 + static_cast<std::int64_t>(options.product),
                s.n,
                s.h,
                s.w,
                s.c,
                s.o,
                s.kh,
                s.kw,
                s.stride_h,
                s.stride_w,
                s.padding.top,
                s.padding.left,
                s.padding.bottom,
                s.padding.right,
                s.dilation_h,
                s.dilation_w,
                s.groups,
                static_cast<std::int64_t>(options.dtype),
                static_cast<std::int64_t>(options.out),
                options.has_bias,
                options.relu};
  return cached(key, [&] {
    ConvShape one = s;
    one.n = 1;
    ConvOptions layout_options = options;
    layout_options.has_bias = layout_options.relu = false;
    layout_options.out = s32_or_f32(options.product);
    try {
      const Plan layout = make_conv(one, layout_options, nullptr);
      return make_conv(s, options, &layout.packed_weight);
    } catch (const dnnl::error& error) {
      fail("conv2d: oneDNN cannot compute ", s.n, " images of ", Shape{s.h, s.w, s.c}, " with a weight of ",
           s.weight_shape(), " in ", options.dtype, ": ", error.what());
    }
  });
}

}  // namespace detent::kernels::onednn
