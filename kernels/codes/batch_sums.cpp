#include "detent/kernels/codes/batch_sums.h"

#include <limits>
#include <vector>

#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/columns/column_kernels.h"

namespace detent::kernels {
namespace {

DETENT_VECTORIZED
void moments_block(const std::int32_t* __restrict acc, std::int64_t count, double* __restrict sum,
                   double* __restrict squares, std::int32_t* __restrict smallest, std::int32_t* __restrict largest) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(acc[i]);
    sum[i] += value;
    squares[i] += value * value;
    smallest[i] = std::min(smallest[i], acc[i]);
    largest[i] = std::max(largest[i], acc[i]);
  }
}

DETENT_VECTORIZED void narrow_block(const std::int32_t* __restrict acc, std::int64_t count,
                                    const float* __restrict center, const float* __restrict inverse_step,
                                    std::int8_t* __restrict narrow) {
  for (std::int64_t i = 0; i < count; ++i) {
    narrow[i] = static_cast<std::int8_t>(
        round_clamped((static_cast<float>(acc[i]) - center[i]) * inverse_step[i], -127.0F, 127.0F));
  }
}

/// Moments by column, of columns that take turns in the outputs.
class Table {
 public:
  explicit Table(std::int64_t columns) : columns_(columns) {
    const auto count = static_cast<std::size_t>(columns);
    moments_.sum = thread_scratch_of<double>(3 * count, Scratch::StraightThroughTables);
    moments_.squares = moments_.sum + columns;
    moments_.smallest = reinterpret_cast<std::int32_t*>(moments_.squares + columns);
    moments_.largest = moments_.smallest + columns;
    const SumMoments none;
    std::fill_n(moments_.sum, 2 * count, 0.0);
    std::fill_n(moments_.smallest, count, none.smallest);
    std::fill_n(moments_.largest, count, none.largest);
  }
  const ColumnMoments& columns() const { return moments_; }
  void include_in(SumMoments* moments, std::int64_t outputs) const {
    for (std::int64_t i = 0; i < columns_; ++i) {
      moments[i % outputs].include({moments_.sum[i], moments_.squares[i], moments_.smallest[i], moments_.largest[i]});
    }
  }

 private:
  std::int64_t columns_;
  ColumnMoments moments_{};
};

}  // namespace

void include_moments(const std::int32_t* acc, std::int64_t rows, std::int64_t outputs, SumMoments* moments) {
  const LongRows vectors(rows, outputs);
  if (vectors.taken > 0) {
    const Table table(vectors.size.columns);
    by_vectors([&](auto kernels) { kernels.moments(acc, vectors.size, table.columns()); });
    table.include_in(moments, outputs);
  }
  const std::int64_t elements = rows * outputs;
  const std::int64_t period = period_of(outputs);
  if (std::int64_t i = vectors.taken * outputs; i < elements) {
    const Table table(period);
    const ColumnMoments& to = table.columns();
    for (; i < elements; i += period) {
      moments_block(acc + i, std::min(period, elements - i), to.sum, to.squares, to.smallest, to.largest);
    }
    table.include_in(moments, outputs);
  }
}

MinMax range_of_reals(std::span<const SumMoments> moments, const Requantization& r) {
  MinMaxLanes lanes;
  for (std::size_t o = 0; o < moments.size(); ++o) {
    for (const std::int32_t sum : {moments[o].smallest, moments[o].largest}) {
      const float real = (static_cast<float>(sum) + (r.bias.empty() ? 0.0F : r.bias[o])) * r.real_scale[o];
      lanes.include(0, r.relu ? std::max(real, 0.0F) : real);
    }
  }
  return lanes.result();
}

void narrow_sums(const std::int32_t* acc, std::int64_t rows, std::int64_t outputs, const float* center,
                 const float* inverse_step, std::int8_t* narrow) {
  const std::int64_t period = period_of(outputs);
  const auto tables = make_tables<2>({center, inverse_step}, outputs, period);
  for (std::int64_t i = 0; i < rows * outputs; i += period) {
    narrow_block(acc + i, std::min(period, rows * outputs - i), tables[0], tables[1], narrow + i);
  }
}

void requantize_and_narrow(const std::int32_t* acc, std::int64_t rows, const Requantization& r, const float* center,
                           const float* inverse_step, std::uint8_t* y, std::uint8_t* mask, std::int8_t* narrow) {
  const auto outputs = static_cast<std::int64_t>(r.multiplier.size());
  const LongRows vectors(rows, outputs);
  if (vectors.taken > 0) {
    const std::vector<float> none(r.bias.empty() ? r.multiplier.size() : 0, 0.0F);
    const auto tables =
        make_tables<4>({r.bias.empty() ? none.data() : r.bias.data(), r.multiplier.data(), center, inverse_step},
                       outputs, vectors.size.columns);
    const RequantizedColumns columns{
        .bias = tables[0],
        .multiplier = tables[1],
        .center = tables[2],
        .inverse_step = tables[3],
        .zero_point = static_cast<float>(r.output.zero_point),
        .lower = static_cast<float>(r.relu ? std::max(r.codes.qmin, r.output.zero_point) : r.codes.qmin),
        .upper = static_cast<float>(r.codes.qmax),
        .positive = r.relu ? 0.0F : -std::numeric_limits<float>::infinity(),
        .inside = Inside(r.codes.qmin, r.codes.qmax)};
    by_vectors([&](auto kernels) { kernels.requantize(acc, vectors.size, columns, y, mask, narrow); });
  }
  const std::int64_t done = vectors.taken * outputs;
  requantize(acc + done, rows - vectors.taken, r, y + done, mask + done / 8);
  narrow_sums(acc + done, rows - vectors.taken, outputs, center, inverse_step, narrow + done);
}

}  // namespace detent::kernels
