#pragma once

/// The measure that the benchmarks hold their figures against.
namespace detent::bench {

/// f32 operations a second of one core that does nothing but multiply and add in registers; measured once. The bf16 and
/// int8 units of the processors that have them do two and four times as many.
double peak_flops();

}  // namespace detent::bench
