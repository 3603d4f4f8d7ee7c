#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "detent/autograd/ops.h"

/// The table of all differentiable ops. To test a new op, add one row to op_table.cpp: how to draw random inputs and
/// call the op, and a call with shapes that do not fit. gradient_test.cpp does the rest, and fails for an op without a
/// row.
namespace detent::autograd {

/// One random example of an op: its differentiable inputs in f64, off kinks, and the call. `apply` makes whatever else
/// it needs in the type of its inputs.
struct OpSample {
  std::vector<Tensor> inputs;
  std::function<Variable(const std::vector<Variable>&)> apply;
};

struct OpRow {
  std::string name;     ///< the function in ops.h
  std::string variant;  ///< letters only; tells rows of one op apart
  std::function<OpSample(RandomStream&)> sample;
  std::function<Variable(Tape&)> wrong;  ///< must throw Error
};

inline std::ostream& operator<<(std::ostream& out, const OpRow& row) { return out << row.name << ' ' << row.variant; }

const std::vector<OpRow>& op_table();
/// Of them, those of losses against values, flags and weighted classes.
std::vector<OpRow> target_loss_rows();

/// Random numbers of (-2, 2).
Tensor random_tensor(RandomStream& random, Shape shape);
/// Uniform in [low, high].
std::int64_t random_extent(RandomStream& random, std::int64_t low, std::int64_t high);
/// Classes of `rows` examples, s32.
Tensor random_labels(RandomStream& random, std::int64_t rows, std::int64_t classes);
/// A leaf of zeros in f32.
Variable zeros(Tape& tape, Shape shape);
/// The sample of an op of one input.
OpSample unary(Tensor x, std::function<Variable(const Variable&)> apply);

}  // namespace detent::autograd
