#include <cmath>

#include "tests/autograd/op_table.h"

namespace detent::autograd {
namespace {

// Numbers of (-2, 2) that are not near 0.
Tensor off_zero(RandomStream& random, const Shape& shape) {
  Tensor x = random_tensor(random, shape);
  for (double& v : x.data<double>()) {
    v = std::abs(v) < 0.02 ? 0.5 : v;
  }
  return x;
}

}  // namespace

std::vector<OpRow> target_loss_rows() {
  const auto predictions = [](RandomStream& random) {
    return Shape{random_extent(random, 1, 5), random_extent(random, 2, 6)};
  };
  const auto weights_of = [](std::int64_t count) {
    std::vector<double> weights;
    for (std::int64_t k = 0; k < count; ++k) {
      weights.push_back(0.5 + static_cast<double>(k));
    }
    return weights;
  };
  const auto entropy_row = [=](std::string variant, double smoothing) {
    return OpRow{"weighted_cross_entropy", std::move(variant),
                 [=](RandomStream& random) {
                   const Shape shape = predictions(random);
                   return unary(random_tensor(random, shape),
                                [=, labels = random_labels(random, shape[0], shape[1])](const Variable& x) {
                                  return weighted_cross_entropy(x, labels, weights_of(shape[1]), smoothing);
                                });
                 },
                 [](Tape& tape) {
                   return weighted_cross_entropy(zeros(tape, {2, 3}), Tensor::zeros({2}, DType::S32), {1.0, 2.0});
                 }};
  };
  // Targets at 3 and -3 keep distances off 0, and a delta of 1 is passed by none of (-2, 2), of 3 by some.
  const auto against = [=](auto loss) {
    return [=](RandomStream& random) {
      const Shape shape = predictions(random);
      Tensor target = random_tensor(random, shape);
      for (double& t : target.data<double>()) {
        t = t < 0 ? -3.0 : 3.0;
      }
      return unary(off_zero(random, shape), [=](const Variable& x) { return loss(x, target.to(x.dtype())); });
    };
  };
  const auto flags = [=](bool is_weighted) {
    return [=](RandomStream& random) {
      const Shape shape = predictions(random);
      Tensor target = random_tensor(random, shape);
      for (double& t : target.data<double>()) {
        t = t < 0 ? 0.0 : 1.0;
      }
      return unary(random_tensor(random, shape), [=](const Variable& x) {
        return binary_cross_entropy(x, target.to(x.dtype()),
                                    is_weighted ? weights_of(shape[1]) : std::vector<double>());
      });
    };
  };
  const auto wrong = [](Tape& tape) {
    return binary_cross_entropy(zeros(tape, {2, 3}), Tensor::zeros({2, 3}, DType::F32), {1.0});
  };
  return {entropy_row("Plain", 0.0),
          entropy_row("Smoothed", 0.1),
          {"l1", "", against([](const Variable& x, const Tensor& target) { return l1(x, target); }),
           [](Tape& tape) {
             return l1(zeros(tape, {2, 3}), Tensor::zeros({3, 2}, DType::F32));
           }},
          {"huber", "", against([](const Variable& x, const Tensor& target) { return huber(x, target, 3.0); }),
           [](Tape& tape) {
             return huber(zeros(tape, {2, 3}), Tensor::zeros({3, 2}, DType::F32), 1.0);
           }},
          {"binary_cross_entropy", "Plain", flags(false), wrong},
          {"binary_cross_entropy", "Weighted", flags(true), wrong}};
}

}  // namespace detent::autograd
