#include "detent/kernels/product/onednn/onednn.h"

#include <omp.h>

#include "detent/core/memory.h"
#include "detent/core/processor/units.h"
#include "detent/kernels/product/onednn/onednn_plan.h"
#include "detent/kernels/product/plan_cache.h"

namespace detent::kernels {
namespace onednn {

namespace {

/// oneDNN fixes the number of threads of a primitive when it is made, from OpenMP's setting.
class SingleThread {
 public:
  SingleThread() : before_(omp_get_max_threads()) { set(1); }
  ~SingleThread() { set(before_); }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  void set(int threads) const {
    if (before_ != 1) {
      omp_set_num_threads(threads);
    }
  }
  int before_;
};

/// Rules out for oneDNN what a limit rules out for our kernels. It takes no limit once it has made a primitive, or has
/// a stricter one from the environment; both are well.
void limit_units(const ProcessorUnits& units) {
  using Isa = dnnl::cpu_isa;
  if (units.avx512_bf16) {
    return;
  }
  const Isa most = units.avx512_vnni ? Isa::avx512_core_vnni
                   : units.avx512    ? Isa::avx512_core
                   : units.avx2      ? Isa::avx2
                                     : Isa::sse41;
  dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(most));
}

dnnl::stream& stream() {
  thread_local dnnl::stream stream(engine());
  return stream;
}

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const std::int64_t word : key) {
      hash = (hash ^ static_cast<std::uint64_t>(word)) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

// Never destroyed, as the engine.
PlanCache<Key, Plan, KeyHash>& cache() {
  static auto& cache = *new PlanCache<Key, Plan, KeyHash>(kMostPlans);
  return cache;
}

/// Rows for which the layout of a packed b is chosen, so that it does not depend on the rows of one call.
constexpr std::int64_t kLayoutRows = 64;

Plan make_gemm(const GemmOptions& o, const Desc* layout) {
  Plan plan;
  plan.has_bias = o.has_bias;
  plan.bias = o.has_bias ? Desc({1, o.n}, Type::f32, Tag::ab) : Desc();
  const auto strides = [](bool transposed, std::int64_t ld) { return transposed ? Dims{1, ld} : Dims{ld, 1}; };
  const Desc a({o.m, o.k}, type_of(o.dtype), strides(o.transpose_a, o.lda));
  const Desc plain_b({o.k, o.n}, weight_type(o.dtype), strides(o.transpose_b, o.ldb));
  const Desc b = layout ? *layout : o.packed_b ? Desc({o.k, o.n}, weight_type(o.dtype), Tag::any) : plain_b;
  const Desc y({o.m, o.n}, type_of(o.out), Dims{o.ldy, 1});
  const auto desc = primitive_desc<dnnl::matmul>(engine(), attributes(o.relu, false), a, b, plan.bias, y);
  plan.primitive = dnnl::matmul(desc);
  plan.a = desc.src_desc();
  plan.b = plan.packed_weight = desc.weights_desc();
  plan.y = desc.dst_desc();
  plan.plain_weight = plain_b;
  describe(plan, desc);
  return plan;
}

void reorder(const Desc& from_desc, const void* from, const Desc& to_desc, void* to) {
  const SingleThread single_thread;
  const dnnl::memory source(from_desc, engine(), const_cast<void*>(from));
  const dnnl::memory target(to_desc, engine(), to);
  dnnl::reorder(source, target).execute(stream(), const_cast<dnnl::memory&>(source), const_cast<dnnl::memory&>(target));
}

}  // namespace

// Never destroyed: threads may outlive static destruction, and oneDNN's own statics end in no known order.
const dnnl::engine& engine() {
  static const auto& engine = *[] {
    limit_units(processor_units());
    return new dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

Type type_of(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return Type::f32;
    case DType::BF16:
      return Type::bf16;
    case DType::U8:
      return Type::u8;
    case DType::S8:
      return Type::s8;
    case DType::S32:
      return Type::s32;
    default:
      fail("product: oneDNN has no type for ", dtype);
  }
}

Type weight_type(DType dtype) { return dtype == DType::U8 ? Type::s8 : type_of(dtype); }

dnnl::primitive_attr attributes(bool relu, bool zero_point) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (relu) {
    dnnl::post_ops ops;
    append_relu(ops);
    attr.set_post_ops(ops);
  }
  if (zero_point) {
    set_runtime_zero_point(attr, DNNL_ARG_SRC);
  }
  return attr;
}

PlanPointer cached(const Key& key, const std::function<Plan()>& make) {
  return cache().get(key, [&make] {
    const SingleThread single_thread;
    return make();
  });
}

std::size_t kept_plans() { return cache().size(); }

PlanPointer gemm_plan(GemmOptions o) {
  const Key key{0,
                o.m,
                o.k,
                o.n,
                o.transpose_a,
                o.transpose_b,
                o.lda,
                o.ldb,
                o.ldy,
                o.packed_b,
                static_cast<std::int64_t>(o.dtype),
                static_cast<std::int64_t>(o.out),
                o.has_bias,
                o.relu};
  return cached(key, [&] {
    try {
      if (!o.packed_b) {
        return make_gemm(o, nullptr);
      }
      GemmOptions layout_options = o;
      layout_options.m = kLayoutRows;
      const Plan layout = make_gemm(layout_options, nullptr);
      return make_gemm(o, &layout.packed_weight);
    } catch (const dnnl::error& error) {
      fail("matmul: oneDNN cannot compute [", o.m, ", ", o.k, "] x [", o.k, ", ", o.n, "] in ", o.dtype, ": ",
           error.what());
    }
  });
}

std::size_t weight_bytes(const Plan& plan) { return plan.packed_weight.get_size(); }

void pack_weight(const Plan& plan, const void* plain, void* packed) {
  reorder(plan.plain_weight, plain, plan.packed_weight, packed);
}

void unpack_weight(const Plan& plan, const void* packed, void* plain) {
  reorder(plan.packed_weight, packed, plan.plain_weight, plain);
}

void run(const Plan& plan, const Operands& operands) {
  std::array<dnnl::memory, 6> memories;
  std::array<dnnl_exec_arg_t, 6> arguments;
  int count = 0;
  const auto add = [&](int id, const Desc& desc, const void* data) {
    const auto i = static_cast<std::size_t>(count++);
    memories[i] = dnnl::memory(desc, engine(), const_cast<void*>(data));
    arguments[i] = {id, memories[i].get()};
  };
  std::int32_t zero_point = operands.zero_point;
  add(plan.a_id, plan.a, operands.a);
  add(plan.b_id, plan.b, operands.b);
  add(plan.y_id, plan.y, operands.y);
  if (plan.has_bias) {
    add(DNNL_ARG_BIAS, plan.bias, operands.bias);
  }
  if (plan.has_zero_point) {
    add(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, Desc({1}, Type::s32, Tag::x), &zero_point);
  }
  if (const std::size_t bytes = plan.scratchpad.get_size(); bytes > 0) {
    add(DNNL_ARG_SCRATCHPAD, plan.scratchpad, thread_scratch(bytes, Scratch::Primitive));
  }
  const dnnl_status_t status = dnnl_primitive_execute(plan.primitive.get(), stream().get(), count, arguments.data());
  check(status == dnnl_success, "product: oneDNN failed with status ", static_cast<int>(status), " in ",
        plan.implementation);
}

const char* implementation(const Plan& plan) { return plan.implementation.c_str(); }

}  // namespace onednn

}  // namespace detent::kernels
