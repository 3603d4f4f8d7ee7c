#pragma once

#include <limits>

#include <oneapi/dnnl/dnnl.hpp>

/// All that differs between the interfaces of oneDNN 2 and 3, which are both served: in 2 a primitive is described by
/// an operation's descriptor, in 3 by the same arguments without one.
namespace detent::kernels::onednn {

// max(0, .). On other processors than x86-64 oneDNN multiplies by a slope of 0 what is below 0, which gives -0; there
// it clips.
#if defined(__x86_64__)
inline constexpr auto kRelu = dnnl::algorithm::eltwise_relu;
inline constexpr float kMostOfRelu = 0.0F;
#else
inline constexpr auto kRelu = dnnl::algorithm::eltwise_clip;
inline constexpr float kMostOfRelu = std::numeric_limits<float>::infinity();
#endif

#if DNNL_VERSION_MAJOR >= 3

template <typename Primitive, typename... Arguments>
typename Primitive::primitive_desc primitive_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                                  const Arguments&... arguments) {
  return {engine, arguments..., attributes};
}

/// A backward product says of which forward product it is the gradient.
template <typename Primitive, typename Hint, typename... Arguments>
typename Primitive::primitive_desc gradient_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                                 const Hint& hint, const Arguments&... arguments) {
  return {engine, arguments..., hint, attributes};
}

inline void append_relu(dnnl::post_ops& ops) { ops.append_eltwise(kRelu, 0.0F, kMostOfRelu); }

/// One zero point for all of `argument`, given when the primitive runs.
inline void set_runtime_zero_point(dnnl::primitive_attr& attributes, int argument) {
  attributes.set_zero_points_mask(argument, 0);
}

#else

template <typename Primitive, typename... Arguments>
typename Primitive::primitive_desc primitive_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                                  const Arguments&... arguments) {
  return {typename Primitive::desc(arguments...), attributes, engine};
}

template <typename Primitive, typename Hint, typename... Arguments>
typename Primitive::primitive_desc gradient_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                                 const Hint& hint, const Arguments&... arguments) {
  return {typename Primitive::desc(arguments...), attributes, engine, hint};
}

inline void append_relu(dnnl::post_ops& ops) { ops.append_eltwise(1.0F, kRelu, 0.0F, kMostOfRelu); }

inline void set_runtime_zero_point(dnnl::primitive_attr& attributes, int argument) {
  attributes.set_zero_points(argument, 0, {DNNL_RUNTIME_S32_VAL});
}

#endif

}  // namespace detent::kernels::onednn
