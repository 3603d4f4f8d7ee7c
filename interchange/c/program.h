#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "detent/runtime/model.h"

/// A model as a C program runs it: which codes come in and go out, which nodes are steps, and where values lie.
namespace detent::interchange::c {

/// How sums become codes.
enum class Requantize : std::uint8_t {
  F32,    ///< as docs/numerics.md says: the codes are those of runtime::Plan
  Fixed,  ///< integers alone: the codes are those of runtime::TargetPlan with RoundingTarget::Tflite
};

/// How the results in C stand to Detent's. Sums of f32 have an order, which in C is one and the same everywhere and in
/// Detent that of the processor's kernels.
enum class Agreement : std::uint8_t {
  Exact,   ///< every bit
  Sums,    ///< all but the last bits of sums of f32, and of what is made of them
  Rounded  ///< such sums also become codes, of which now and then one is a step off
};

/// What the layers take from outside.
struct Entry {
  runtime::ValueId value = 0;  ///< codes, or numbers of an input
  runtime::ValueId input = 0;  ///< the model's input that it is, or whose codes it is
  std::string name = {};    ///< the C parameter that points to it: "input", or "codes_<name>" where there are several
  std::int64_t offset = 0;  ///< in the arena, for codes that are made of numbers
};

struct Program {
  const runtime::Model* model = nullptr;
  std::vector<std::string> inputs = {};  ///< the C parameter of each of the model's inputs: "input", or "input_<name>"
  std::vector<Entry> entries = {};
  runtime::ValueId result = 0;            ///< what the layers give: codes, or numbers that are computed as such
  std::int64_t result_offset = 0;         ///< in the arena, where it becomes numbers
  std::vector<std::size_t> steps = {};    ///< nodes that compute, in order
  std::vector<std::string> address = {};  ///< of each value: "input", "output", "arena->bytes + 128"
  std::vector<std::string> scratch = {};  ///< of each node: the memory that it needs while it runs; empty: none
  std::int64_t arena_bytes = 0;
  bool keeps_numbers = false;  ///< in the arena, which is then a multiple of their size, and aligned for them
  Agreement agreement = Agreement::Exact;

  const runtime::ValueType& type(runtime::ValueId value) const { return model->type(value); }
  /// Whether an entry is made of numbers before the layers run, and numbers of the result behind them.
  bool quantizes(const Entry& entry) const { return entry.value != entry.input; }
  bool dequantizes() const { return type(result).is_codes() && !type(model->output).is_codes(); }
  /// Whether the layers take and give codes alone.
  bool is_from_codes_to_codes() const;
};

/// Throws Error, which names all nodes that have no C form and what they would take, and as Model::validate.
/// REQUIRES: `model` outlives the result.
Program make_program(const runtime::Model& model, Requantize requantize);

/// The value whose elements a reshape shows.
runtime::ValueId root_of(const runtime::Model& model, runtime::ValueId value);

}  // namespace detent::interchange::c
