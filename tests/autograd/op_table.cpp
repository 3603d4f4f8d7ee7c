#include "tests/autograd/op_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace detent::autograd {

Variable zeros(Tape& tape, Shape shape) { return tape.variable(Tensor::zeros(std::move(shape), DType::F32)); }

OpSample unary(Tensor x, std::function<Variable(const Variable&)> apply) {
  return {{std::move(x)}, [apply = std::move(apply)](const std::vector<Variable>& in) { return apply(in[0]); }};
}

Tensor random_labels(RandomStream& random, std::int64_t rows, std::int64_t classes) {
  Tensor labels = Tensor::empty({rows}, DType::S32);
  for (std::int32_t& label : labels.data<std::int32_t>()) {
    label = static_cast<std::int32_t>(random.index(static_cast<std::uint32_t>(classes)));
  }
  return labels;
}

namespace {

using kernels::Activation;

using Inputs = std::vector<Variable>;

// Numbers of (-range, range) that keep away from every kink.
Tensor off_kinks(RandomStream& random, Shape shape, double range, const std::vector<double>& kinks) {
  Tensor x = Tensor::empty(std::move(shape), DType::F64);
  for (double& v : x.data<double>()) {
    do {
      v = range * (2.0 * random.uniform() - 1.0);
    } while (std::ranges::any_of(kinks, [&](double kink) { return std::abs(v - kink) < 0.02; }));
  }
  return x;
}

// A random order of numbers that are 0.1 apart: no two are nearly equal, so no maximum changes hands.
Tensor far_apart(RandomStream& random, Shape shape) {
  Tensor x = Tensor::empty(std::move(shape), DType::F64);
  const auto values = x.data<double>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.1 * static_cast<double>(i) - 1.0;
    std::swap(values[i], values[random.index(static_cast<std::uint32_t>(i + 1))]);
  }
  return x;
}

Shape random_shape(RandomStream& random, std::int64_t least_rank = 1) {
  std::vector<std::int64_t> extents(static_cast<std::size_t>(random_extent(random, least_rank, 4)));
  std::ranges::generate(extents, [&] { return random_extent(random, 1, 4); });
  return Shape(extents);
}

// Draws until no result of `plain`, the product without its ReLU, is near the kink.
OpSample off_relu_kink(const std::function<std::vector<Tensor>()>& draw,
                       const std::function<Variable(const Inputs&, ProductOptions)>& product) {
  for (;;) {
    std::vector<Tensor> inputs = draw();
    Tape tape(nullptr, Tape::Mode::Inference);
    Inputs constants;
    for (const Tensor& input : inputs) {
      constants.push_back(tape.constant(input));
    }
    const Tensor y = product(constants, {}).value();
    if (std::ranges::all_of(y.data<double>(), [](double v) { return std::abs(v) > 2e-3; })) {
      return {inputs, [product](const Inputs& in) { return product(in, {.relu = true}); }};
    }
  }
}

std::vector<OpRow> product_rows() {
  const auto linear_inputs = [](RandomStream& random, bool bias) {
    const std::int64_t n = random_extent(random, 1, 5), k = random_extent(random, 1, 6),
                       o = random_extent(random, 1, 4);
    std::vector<Tensor> inputs{random_tensor(random, {n, k}), random_tensor(random, {o, k})};
    if (bias) {
      inputs.push_back(random_tensor(random, {o}));
    }
    return inputs;
  };
  const auto wrong_linear = [](Tape& tape) { return linear(zeros(tape, {2, 3}), zeros(tape, {4, 2}), {}); };
  const auto wrong_bias = [](Tape& tape) { return linear(zeros(tape, {2, 3}), zeros(tape, {4, 3}), zeros(tape, {3})); };
  return {
      {"matmul", "",
       [](RandomStream& random) {
         const std::int64_t m = random_extent(random, 1, 5), k = random_extent(random, 1, 5);
         return OpSample{{random_tensor(random, {m, k}), random_tensor(random, {k, random_extent(random, 1, 5)})},
                         [](const Inputs& in) { return matmul(in[0], in[1]); }};
       },
       [](Tape& tape) {
         return matmul(zeros(tape, {2, 3}), zeros(tape, {2, 3}));
       }},
      {"linear", "WithBias",
       [=](RandomStream& random) {
         return OpSample{linear_inputs(random, true), [](const Inputs& in) { return linear(in[0], in[1], in[2]); }};
       },
       wrong_linear},
      {"linear", "WithoutBias",
       [=](RandomStream& random) {
         return OpSample{linear_inputs(random, false), [](const Inputs& in) { return linear(in[0], in[1], {}); }};
       },
       wrong_linear},
      {"linear", "WithRelu",
       [=](RandomStream& random) {
         return off_relu_kink(
             [&] { return linear_inputs(random, true); },
             [](const Inputs& in, ProductOptions options) { return linear(in[0], in[1], in[2], options); });
       },
       wrong_bias},
  };
}

struct ConvCase {
  Conv2dOptions options;
  std::int64_t kernel_h, kernel_w, in_per_group, out_per_group;
  bool bias;
};

std::vector<Tensor> conv_inputs(RandomStream& random, const ConvCase& c) {
  const std::int64_t n = random_extent(random, 1, 3);
  const std::int64_t h = c.options.dilation_h * (c.kernel_h - 1) + random_extent(random, 1, 4);
  const std::int64_t w = c.options.dilation_w * (c.kernel_w - 1) + random_extent(random, 1, 4);
  const std::int64_t out = c.options.groups * c.out_per_group;
  std::vector<Tensor> inputs{random_tensor(random, {n, h, w, c.options.groups * c.in_per_group}),
                             random_tensor(random, {out, c.kernel_h, c.kernel_w, c.in_per_group})};
  if (c.bias) {
    inputs.push_back(random_tensor(random, {out}));
  }
  return inputs;
}

OpRow conv_row(std::string variant, const ConvCase& c) {
  return {"conv2d", std::move(variant),
          [c](RandomStream& random) {
            return OpSample{conv_inputs(random, c), [c](const Inputs& in) {
                              return conv2d(in[0], in[1], c.bias ? in[2] : Variable(), c.options);
                            }};
          },
          [](Tape& tape) {
            return conv2d(zeros(tape, {1, 5, 5, 2}), zeros(tape, {4, 3, 3, 3}), {});
          }};
}

std::vector<OpRow> conv_rows() {
  const ConvCase grouped{{.padding = 1, .groups = 2}, 3, 3, 2, 2, true};
  return {
      conv_row("Valid", {{}, 3, 3, 2, 3, true}),
      conv_row("WithoutBias", {{}, 2, 1, 1, 2, false}),
      conv_row("Pointwise", {{}, 1, 1, 3, 2, true}),
      conv_row("Padded", {{.padding = {1, 2}}, 3, 3, 2, 3, true}),
      conv_row("Strided", {{.stride_h = 2, .stride_w = 3, .padding = {1, 0}}, 3, 2, 2, 2, true}),
      conv_row("Dilated", {{.padding = {1, 0}, .dilation_h = 2, .dilation_w = 3}, 2, 2, 2, 2, true}),
      conv_row("FourPaddings", {{.padding = {1, 0, 2, 3}}, 3, 2, 2, 3, true}),
      conv_row("OnOneSide", {{.stride_h = 2, .stride_w = 1, .padding = {0, 0, 1, 1}}, 2, 2, 2, 2, true}),
      conv_row("Depthwise", {{.padding = 1, .groups = 4}, 3, 3, 1, 1, true}),
      {"conv2d", "GroupedWithRelu",
       [grouped](RandomStream& random) {
         return off_relu_kink([&] { return conv_inputs(random, grouped); },
                              [grouped](const Inputs& in, ProductOptions product) {
                                Conv2dOptions options = grouped.options;
                                options.product = product;
                                return conv2d(in[0], in[1], in[2], options);
                              });
       },
       [](Tape& tape) {
         return conv2d(zeros(tape, {1, 2, 2, 1}), zeros(tape, {1, 3, 3, 1}), {});
       }},
  };
}

std::vector<OpRow> pool_rows() {
  const Pool2dOptions overlapping{.kernel_h = 3, .kernel_w = 2, .stride_h = 2, .stride_w = 1, .padding = 1};
  const Pool2dOptions one_sided{.kernel_h = 2, .kernel_w = 3, .stride_h = 1, .stride_w = 2, .padding = {0, 1, 1, 0}};
  const auto images = [](RandomStream& random) {
    return Shape{random_extent(random, 1, 3), random_extent(random, 2, 6), random_extent(random, 2, 6),
                 random_extent(random, 1, 5)};
  };
  const auto max_row = [images](std::string variant, Pool2dOptions options) {
    return OpRow{"max_pool2d", std::move(variant),
                 [=](RandomStream& random) {
                   return unary(far_apart(random, images(random)),
                                [=](const Variable& x) { return max_pool2d(x, options); });
                 },
                 [=](Tape& tape) {
                   return max_pool2d(zeros(tape, {4, 4, 2}), options);
                 }};
  };
  const auto average_row = [images](std::string variant, Pool2dOptions options) {
    return OpRow{"avg_pool2d", std::move(variant),
                 [=](RandomStream& random) {
                   return unary(random_tensor(random, images(random)),
                                [=](const Variable& x) { return avg_pool2d(x, options); });
                 },
                 [=](Tape& tape) {
                   return avg_pool2d(zeros(tape, {1, 1, 0, 1}), options);
                 }};
  };
  return {max_row("TwoByTwo", {}),
          max_row("Overlapping", overlapping),
          max_row("OnOneSide", one_sided),
          average_row("OnOneSide", one_sided),
          average_row("TwoByTwo", {}),
          average_row("Overlapping", overlapping),
          {"global_avg_pool2d", "",
           [images](RandomStream& random) {
             return unary(random_tensor(random, images(random)),
                          [](const Variable& x) { return global_avg_pool2d(x); });
           },
           [](Tape& tape) {
             return global_avg_pool2d(zeros(tape, {2, 3}));
           }}};
}

// An op that takes any shape has no shape that does not fit: codes and default Variables do not.
Variable codes(Tape& tape) { return tape.variable(Tensor::zeros({2, 3}, DType::U8)); }

std::vector<OpRow> elementwise_rows() {
  std::vector<OpRow> rows;
  struct Kind {
    Activation function;
    std::string variant;
  };
  for (const Kind& kind :
       {Kind{Activation::Relu, "Relu"}, Kind{Activation::Relu6, "ReluSix"}, Kind{Activation::LeakyRelu, "LeakyRelu"},
        Kind{Activation::Sigmoid, "Sigmoid"}, Kind{Activation::Tanh, "Tanh"}, Kind{Activation::Gelu, "Gelu"},
        Kind{Activation::HardSwish, "HardSwish"}, Kind{Activation::Silu, "Silu"}}) {
    rows.push_back({"activation", kind.variant,
                    [function = kind.function](RandomStream& random) {
                      return unary(off_kinks(random, random_shape(random), 8, {-3, 0, 3, 6}),
                                   [=](const Variable& x) { return activation(x, function, 0.2); });
                    },
                    [function = kind.function](Tape& tape) { return activation(codes(tape), function); }});
  }
  const auto pair_row = [](std::string name, Variable (*op)(const Variable&, const Variable&)) {
    return OpRow{std::move(name), "",
                 [op](RandomStream& random) {
                   const Shape shape = random_shape(random);
                   return OpSample{{random_tensor(random, shape), random_tensor(random, shape)},
                                   [op](const Inputs& in) { return op(in[0], in[1]); }};
                 },
                 [op](Tape& tape) {
                   return op(zeros(tape, {2, 3}), zeros(tape, {3, 2}));
                 }};
  };
  const auto any_row = [](std::string name, std::function<Variable(const Variable&)> op,
                          std::function<Variable(Tape&)> wrong) {
    return OpRow{std::move(name), "",
                 [op](RandomStream& random) { return unary(random_tensor(random, random_shape(random)), op); },
                 std::move(wrong)};
  };
  rows.push_back({"relu", "",
                  [](RandomStream& random) {
                    return unary(off_kinks(random, random_shape(random), 2, {0}),
                                 [](const Variable& x) { return relu(x); });
                  },
                  [](Tape&) { return relu({}); }});
  rows.push_back(any_row("widen", widen, [](Tape& tape) { return widen(codes(tape)); }));
  rows.push_back(pair_row("add", [](const Variable& a, const Variable& b) { return add(a, b); }));
  rows.push_back({"add", "Relu",
                  [](RandomStream& random) {
                    const Shape shape = random_shape(random);
                    return off_relu_kink(
                        [&] {
                          return std::vector{random_tensor(random, shape), random_tensor(random, shape)};
                        },
                        [](const Inputs& in, ProductOptions options) { return add(in[0], in[1], options.relu); });
                  },
                  [](Tape& tape) {
                    return add(zeros(tape, {2, 3}), zeros(tape, {3, 2}), true);
                  }});
  rows.push_back(pair_row("sub", sub));
  rows.push_back(pair_row("mul", mul));
  rows.push_back(pair_row("concat", [](const Variable& a, const Variable& b) { return concat(std::vector{a, b, a}); }));
  rows.push_back(any_row(
      "scale", [](const Variable& x) { return scale(x, -1.7); }, [](Tape& tape) { return scale(codes(tape), 2.0); }));
  rows.push_back(any_row("sum", sum, [](Tape& tape) { return sum(codes(tape)); }));
  rows.push_back(any_row("mean", mean, [](Tape& tape) { return mean(zeros(tape, {0, 2})); }));
  rows.push_back(any_row(
      "reshape",
      [](const Variable& x) {
        return reshape(x, {x.value().elements(), 1});
      },
      [](Tape& tape) {
        return reshape(zeros(tape, {2, 3}), {5});
      }));
  rows.push_back(any_row("softmax", softmax, [](Tape& tape) { return softmax(zeros(tape, {})); }));
  rows.push_back(any_row("flatten", flatten, [](Tape& tape) { return flatten(zeros(tape, {})); }));
  rows.push_back(any_row(
      "dropout", [](const Variable& x) { return dropout(x, 0.4, RandomStream(7, "test")); },
      [](Tape& tape) { return dropout(zeros(tape, {2}), 1.0, RandomStream(7, "test")); }));
  return rows;
}

OpRow batch_norm_row(std::string variant, bool training, bool affine, bool relu = false) {
  return {"batch_norm", std::move(variant),
          [=](RandomStream& random) {
            const Shape shape = Shape(random_shape(random)).batched(random_extent(random, 3, 6));
            const Shape channels{shape[shape.rank() - 1]};
            const Tensor mean = random_tensor(random, channels), spread = random_tensor(random, channels);
            const auto draw = [&] {
              std::vector<Tensor> inputs{random_tensor(random, shape)};
              if (affine) {
                inputs.push_back(random_tensor(random, channels));
                inputs.push_back(random_tensor(random, channels));
              }
              return inputs;
            };
            const auto norm = [=](const Inputs& in, ProductOptions options) {
              Tensor running_mean = mean.to(in[0].dtype());
              Tensor running_variance = Tensor::full(channels, DType::F64, 0.5).to(in[0].dtype());
              return batch_norm(in[0], affine ? in[1] : Variable(), affine ? in[2] : Variable(),
                                {running_mean, running_variance},
                                {.epsilon = 0.1, .training = training, .relu = options.relu});
            };
            return relu ? off_relu_kink(draw, norm) : OpSample{draw(), [=](const Inputs& in) { return norm(in, {}); }};
          },
          [](Tape& tape) {
            Tensor mean = Tensor::zeros({3}, DType::F32), variance = Tensor::zeros({3}, DType::F32);
            return batch_norm(zeros(tape, {4, 2}), {}, {}, {mean, variance}, {});
          }};
}

std::vector<OpRow> loss_rows() {
  const auto predictions = [](RandomStream& random) {
    return Shape{random_extent(random, 1, 5), random_extent(random, 2, 6)};
  };
  const auto entropy_row = [=](std::string variant, double smoothing) {
    return OpRow{"cross_entropy", std::move(variant),
                 [=](RandomStream& random) {
                   const Shape shape = predictions(random);
                   return unary(random_tensor(random, shape),
                                [=, labels = random_labels(random, shape[0], shape[1])](const Variable& x) {
                                  return cross_entropy(x, labels, smoothing);
                                });
                 },
                 [](Tape& tape) {
                   return cross_entropy(zeros(tape, {2, 3}), Tensor::zeros({3}, DType::S32));
                 }};
  };
  const auto against = [](auto shape_of, auto loss) {
    return [=](RandomStream& random) {
      const Shape shape = shape_of(random);
      return unary(random_tensor(random, shape), [=, target = random_tensor(random, shape)](const Variable& x) {
        return loss(x, target.to(x.dtype()));
      });
    };
  };
  return {entropy_row("Plain", 0.0),
          entropy_row("Smoothed", 0.1),
          {"distillation", "",
           against(predictions, [](const Variable& x, const Tensor& target) { return distillation(x, target, 2.5); }),
           [](Tape& tape) {
             return distillation(zeros(tape, {2, 3}), Tensor::zeros({3, 2}, DType::F32), 1.0);
           }},
          {"mean_squared_error", "",
           against([](RandomStream& random) { return random_shape(random); }, &mean_squared_error),
           [](Tape& tape) {
             return mean_squared_error(zeros(tape, {2, 3}), Tensor::zeros({3, 2}, DType::F32));
           }},
          {"squared_hinge", "",
           [=](RandomStream& random) {
             const Shape shape = predictions(random);
             return unary(off_kinks(random, shape, 2, {-1, 1}),
                          [labels = random_labels(random, shape[0], shape[1])](const Variable& x) {
                            return squared_hinge(x, labels);
                          });
           },
           [](Tape& tape) {
             return squared_hinge(zeros(tape, {2, 3}), Tensor::from<std::int32_t>({0, 3}, {2}));
           }}};
}

}  // namespace

Tensor random_tensor(RandomStream& random, Shape shape) { return off_kinks(random, std::move(shape), 2, {}); }

std::int64_t random_extent(RandomStream& random, std::int64_t low, std::int64_t high) {
  return low + random.index(static_cast<std::uint32_t>(high - low + 1));
}

const std::vector<OpRow>& op_table() {
  static const std::vector<OpRow> table = [] {
    std::vector<OpRow> all;
    for (const auto& rows :
         {product_rows(), conv_rows(), pool_rows(), elementwise_rows(), loss_rows(), target_loss_rows(),
          std::vector<OpRow>{batch_norm_row("Training", true, true), batch_norm_row("Evaluation", false, true),
                             batch_norm_row("TrainingWithoutScale", true, false),
                             batch_norm_row("TrainingWithRelu", true, true, true),
                             batch_norm_row("EvaluationWithRelu", false, true, true)}}) {
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
  }();
  return table;
}

}  // namespace detent::autograd
