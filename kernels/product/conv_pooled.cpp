#include "detent/kernels/product/conv_pooled.h"

#include <algorithm>
#include <type_traits>

#include "detent/core/conversion.h"
#include "detent/core/memory.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/winner_lists.h"

// Image, kernel and gradient lie in memory as lines: the kernel's KW * C numbers of one line meet KW * C consecutive
// numbers of the image. A list of winners with one target in common is therefore a sum of scaled vectors,
//   target[0, V) += sum over the list of g * source[at, at + V),
// whose sums stay in registers: for dw the target is a line of an output's kernel and the list its winners, for dx the
// target is a line of the image at a pixel and the list the outputs that this pixel won.
namespace detent::kernels {
namespace {

/// Partial dw and db that are kept, each the sum of consecutive images.
constexpr std::int64_t kMostPartials = 16;
/// Lines of an image that are worked on at a time stay in the first-level cache.
constexpr std::int64_t kBandBytes = 14 * 1024;
/// The weight, or dw, stays in a core's second-level cache.
constexpr std::int64_t kMostWeightBytes = 256 * 1024;
constexpr std::int64_t kFewestWindows = 16;
/// Places in memory are 32-bit numbers.
constexpr std::int64_t kMostImageElements = std::int64_t{1} << 30;

/// What a block of the kernel's line is a multiple of.
template <typename T>
constexpr std::int64_t kVectorLanes = std::is_same_v<T, float> ? kLanes : 2 * kLanes;

/// The shapes that the lists are made for.
struct Geometry {
  ConvShape conv;
  PoolShape pool;
  std::int64_t line;         ///< of the padded image
  std::int64_t image;        ///< the padded image, and room behind it for the last vector
  std::int64_t run;          ///< numbers of a line of the kernel
  std::int64_t padded_run;   ///< whole vectors
  std::int64_t kernel;       ///< of one output, in padded runs
  std::int64_t band_height;  ///< lines of windows

  /// A vector has `lanes` numbers.
  Geometry(const ConvShape& c, const PoolShape& p, std::int64_t lanes, std::size_t element)
      : conv(c),
        pool(p),
        line((c.w + c.padding.w()) * c.c),
        image((c.h + c.padding.h()) * line + lanes),
        run(c.kw * c.c),
        padded_run((run + lanes - 1) / lanes * lanes),
        kernel(c.kh * padded_run),
        band_height(std::clamp<std::int64_t>(
            kBandBytes / (p.stride_h * c.stride_h * line * static_cast<std::int64_t>(element)), 1, p.out_h())) {}
  std::int64_t weight_elements() const { return conv.o * kernel; }
};

/// What one thread needs for an image. T is the type of the products.
template <typename T>
class Workspace {
 public:
  explicit Workspace(const Geometry& s) {
    // Counted in two passes over the same list: first the bytes, then the places.
    std::size_t bytes = 0;
    lay_out(s, [&]<typename E>(E*&, std::int64_t count) { bytes += padded_bytes<E>(count); });
    std::byte* next = thread_scratch(bytes, Scratch::ProductInput);
    lay_out(s, [&]<typename E>(E*& pointer, std::int64_t count) {
      pointer = reinterpret_cast<E*>(next);
      next += padded_bytes<E>(count);
    });
    by_output.count = s.conv.o;
    by_pixel.step = s.kernel;
    for (std::int64_t o = 0; o < s.conv.o; ++o) {
      by_output.targets[o] = static_cast<std::int32_t>(o * s.kernel);
      by_output.begins[o] = static_cast<std::int32_t>(o * (windows(s) + 1));
    }
    std::fill_n(x, s.image, T(0));
  }

  T* x = nullptr;                      ///< padded
  float* dx = nullptr;                 ///< padded
  T* plain = nullptr;                  ///< an image without padding
  float* g = nullptr;                  ///< of an image
  WinnerLists<T> by_output, by_pixel;  ///< of a band

 private:
  static std::int64_t windows(const Geometry& s) { return s.band_height * s.pool.out_w(); }
  template <typename E>
  static std::size_t padded_bytes(std::int64_t count) {
    return (static_cast<std::size_t>(count) * sizeof(E) + kAlignment - 1) / kAlignment * kAlignment;
  }
  template <typename Take>
  void lay_out(const Geometry& s, Take&& take) {
    take(x, s.image);
    take(dx, s.image);
    take(plain, s.conv.input_row());
    take(g, s.pool.output_row());
    for (WinnerLists<T>* lists : {&by_output, &by_pixel}) {
      const std::int64_t count = lists == &by_output ? s.conv.o : windows(s) * s.pool.window();
      const std::int64_t winners = windows(s) * (s.conv.o + s.pool.window()) + s.conv.o + kLanes;
      take(lists->targets, count);
      take(lists->begins, count);
      take(lists->ends, count);
      take(lists->at, winners);
      take(lists->g, winners);
    }
  }
};

template <typename T>
class PooledBackward {
 public:
  PooledBackward(const ConvShape& shape, const PooledConvBackward& backward)
      : s_(shape, backward.pool, kVectorLanes<T>, sizeof(T)),
        b_(backward),
        partials_{shape.n, std::min(shape.n, kMostPartials)},
        weight_memory_(op_buffer(sizeof(T) * static_cast<std::size_t>(s_.weight_elements()))),
        sums_memory_(
            op_buffer(sizeof(float) * static_cast<std::size_t>((s_.weight_elements() + shape.o) * partials_.count))),
        weight_(reinterpret_cast<T*>(weight_memory_.get())),
        dw_(reinterpret_cast<float*>(sums_memory_.get())),
        db_(dw_ + s_.weight_elements() * partials_.count) {
    if (b_.dx != nullptr) {
      std::fill_n(weight_, s_.weight_elements(), T(0));
      for_each_run([&](std::int64_t plain, std::int64_t padded) {
        std::copy_n(reinterpret_cast<const T*>(b_.weight) + plain, s_.run, weight_ + padded);
      });
    }
  }

  void run() {
    parallel_slices(partials_.count, [&](std::int64_t partial) {
      Workspace<T> work(s_);
      float* const dw = dw_ + partial * s_.weight_elements();
      float* const db = db_ + partial * s_.conv.o;
      std::fill_n(dw, s_.weight_elements(), 0.0F);
      std::fill_n(db, s_.conv.o, 0.0F);
      for (std::int64_t image = partials_[partial].begin; image < partials_[partial].end; ++image) {
        run_image(image, work, dw, db);
      }
    });
    if (b_.dw != nullptr) {
      add_partials(dw_, partials_.count, s_.weight_elements());
      for_each_run([&](std::int64_t plain, std::int64_t padded) { std::copy_n(dw_ + padded, s_.run, b_.dw + plain); });
    }
    if (b_.db != nullptr) {
      add_partials(db_, partials_.count, s_.conv.o);
      std::copy_n(db_, s_.conv.o, b_.db);
    }
  }

 private:
  /// Calls fn(plain, padded) with where each line of each kernel begins, in O KH KW C and with runs of whole vectors.
  template <typename Fn>
  void for_each_run(Fn&& fn) const {
    for (std::int64_t line = 0; line < s_.conv.o * s_.conv.kh; ++line) {
      fn(line * s_.run, line * s_.padded_run);
    }
  }

  void run_image(std::int64_t image, Workspace<T>& work, float* dw, float* db) const {
    b_.make_g(image, work.g);
    if (b_.dtype == DType::BF16) {
      round_to_bfloat16({work.g, static_cast<std::size_t>(s_.pool.output_row())});
    }
    if (b_.dw != nullptr) {
      load_x(image, work);
    }
    if (b_.dx != nullptr) {
      std::fill_n(work.dx, s_.image, 0.0F);
    }
    for (std::int64_t begin = 0; begin < s_.pool.out_h(); begin += s_.band_height) {
      list_winners(image, {begin, std::min(begin + s_.band_height, s_.pool.out_h())}, work);
      const std::int64_t image_stride = s_.conv.dilation_h * s_.line;
      for (std::int64_t i = 0; i < s_.padded_run; i += kMostVectors * kLanes) {
        const std::int64_t vectors = std::min(kMostVectors, (s_.padded_run - i) / kLanes);
        if (b_.dw != nullptr) {
          add_winners(
              work.by_output,
              {.count = s_.conv.kh, .vectors = vectors, .source_stride = image_stride, .target_stride = s_.padded_run},
              work.x + i, dw + i);
        }
        if (b_.dx != nullptr) {
          add_winners(
              work.by_pixel,
              {.count = s_.conv.kh, .vectors = vectors, .source_stride = s_.padded_run, .target_stride = image_stride},
              weight_ + i, work.dx + i);
        }
      }
    }
    if (b_.dx != nullptr) {
      store_dx(image, work);
    }
    if (b_.db != nullptr) {
      add_rows_to(db, DType::F32, reinterpret_cast<const std::byte*>(work.g), s_.pool.out_h() * s_.pool.out_w(),
                  s_.conv.o);
    }
  }

  void list_winners(std::int64_t image, Range lines, Workspace<T>& work) const {
    const PoolShape& pool = s_.pool;
    const std::int64_t outputs = s_.conv.o;
    const std::int64_t first = lines.begin * pool.out_w();
    const std::int64_t windows = lines.size() * pool.out_w();
    work.by_pixel.count = windows * pool.window();
    std::int32_t* pixel = work.by_pixel.targets;
    for (std::int64_t window = first; window < first + windows; ++window) {
      for (std::int64_t k = 0; k < pool.window(); ++k) {
        const std::int64_t oh = window / pool.out_w() * pool.stride_h - pool.padding.top + k / pool.kw;
        const std::int64_t ow = window % pool.out_w() * pool.stride_w - pool.padding.left + k % pool.kw;
        *pixel++ = static_cast<std::int32_t>(oh * s_.conv.stride_h * s_.line + ow * s_.conv.stride_w * s_.conv.c);
      }
    }
    list_by_pixel(work.g + first * outputs, b_.argmax + image * pool.output_row() + first * outputs, outputs,
                  pool.window(), work.by_pixel);
    if (b_.dw != nullptr) {
      list_by_output(work.by_pixel, work.by_output);
    }
    if constexpr (std::is_same_v<T, bfloat16>) {
      complete_pairs(work.by_pixel);
      complete_pairs(work.by_output);
    }
  }

  template <typename E>
  E* interior(E* padded) const {
    return padded + s_.conv.padding.top * s_.line + s_.conv.padding.left * s_.conv.c;
  }

  void load_x(std::int64_t image, Workspace<T>& work) const {
    const std::int64_t line = s_.conv.w * s_.conv.c;
    if (line == s_.line) {
      b_.make_x(image, reinterpret_cast<std::byte*>(interior(work.x)));
      return;
    }
    b_.make_x(image, reinterpret_cast<std::byte*>(work.plain));
    for (std::int64_t row = 0; row < s_.conv.h; ++row) {
      std::copy_n(work.plain + row * line, line, interior(work.x) + row * s_.line);
    }
  }

  void store_dx(std::int64_t image, Workspace<T>& work) const {
    const std::int64_t line = s_.conv.w * s_.conv.c;
    for (std::int64_t row = 0; row < s_.conv.h; ++row) {
      const std::span<const float> from(interior(work.dx) + row * s_.line, static_cast<std::size_t>(line));
      const std::int64_t to = image * s_.conv.input_row() + row * line;
      if (b_.dx_dtype == DType::BF16) {
        convert(from, reinterpret_cast<bfloat16*>(b_.dx) + to);
      } else {
        std::ranges::copy(from, reinterpret_cast<float*>(b_.dx) + to);
      }
    }
  }

  const Geometry s_;
  const PooledConvBackward& b_;
  const Slices partials_;
  const std::shared_ptr<std::byte> weight_memory_, sums_memory_;
  T* const weight_;
  float *const dw_, *const db_;
};

/// bf16 numbers on a processor without bf16 units: f32 products of the same numbers.
void backward_as_f32(const ConvShape& shape, const PooledConvBackward& b) {
  const auto weight = b.dx != nullptr ? widened(b.weight, shape.weight_elements()) : nullptr;
  PooledConvBackward f32 = b;
  f32.weight = weight.get();
  f32.make_x = [&](std::int64_t image, std::byte* x) {
    auto* const made =
        thread_scratch_of<bfloat16>(static_cast<std::size_t>(shape.input_row()), Scratch::ProductConversion);
    b.make_x(image, reinterpret_cast<std::byte*>(made));
    convert_to_float(made, shape.input_row(), reinterpret_cast<float*>(x));
  };
  PooledBackward<float>(shape, f32).run();
}

}  // namespace

bool visits_winners(const ConvShape& shape, const PoolShape& pool) {
  const std::int64_t windows = pool.out_h() * pool.out_w();
  const Geometry geometry(shape, pool, kLanes, sizeof(float));
  return shape.groups == 1 && shape.dilation_w == 1 && geometry.image <= kMostImageElements &&
         shape.output_row() <= kMostImageElements && shape.out_h() * shape.out_w() >= 3 * windows &&
         windows >= kFewestWindows &&
         geometry.weight_elements() * static_cast<std::int64_t>(sizeof(float)) <= kMostWeightBytes;
}

void conv2d_backward_pooled(const ConvShape& shape, const PooledConvBackward& b) {
  shape.validate();
  b.pool.validate();
  check(b.pool.n == shape.n && b.pool.h == shape.out_h() && b.pool.w == shape.out_w() && b.pool.c == shape.o,
        "conv2d_backward_pooled: expected a pool of the convolution's results");
  check(visits_winners(shape, b.pool), "conv2d_backward_pooled: these shapes want conv2d_backward");
  check(b.dtype == DType::F32 || b.dtype == DType::BF16,
        "conv2d_backward_pooled: expected products in f32 or bf16, got ", b.dtype);
  check(b.dx_dtype == DType::F32 || b.dx_dtype == DType::BF16,
        "conv2d_backward_pooled: expected dx of f32 or bf16, got ", b.dx_dtype);
  if (b.dtype == DType::F32) {
    PooledBackward<float>(shape, b).run();
  } else if (has_bf16_units()) {
    PooledBackward<bfloat16>(shape, b).run();
  } else {
    backward_as_f32(shape, b);
  }
}

}  // namespace detent::kernels
