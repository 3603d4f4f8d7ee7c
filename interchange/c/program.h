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

/// Codes that come from outside.
struct Entry {
  runtime::ValueId value = 0;  ///< the codes
  runtime::ValueId input = 0;  ///< the model's input that they are, or that they are made of
  std::string name = {};    ///< the C parameter that points to them: "input", or "codes_<name>" where there are several
  std::int64_t offset = 0;  ///< in the arena, for those that are made of numbers
};

struct Program {
  const runtime::Model* model = nullptr;
  std::vector<std::string> inputs = {};  ///< the C parameter of each of the model's inputs: "input", or "input_<name>"
  std::vector<Entry> entries = {};
  runtime::ValueId result = 0;            ///< the codes that go out
  std::int64_t result_offset = 0;         ///< in the arena, where they become numbers
  std::vector<std::size_t> steps = {};    ///< nodes that compute codes, in order
  std::vector<std::string> address = {};  ///< of each value of codes: "input", "output", "arena + 128"
  std::vector<std::string> scratch = {};  ///< of each node: the memory that it needs while it runs; empty: none
  std::int64_t arena_bytes = 0;

  const runtime::ValueType& type(runtime::ValueId value) const { return model->type(value); }
  /// Whether the model takes and gives numbers (or codes).
  bool takes_numbers(const Entry& entry) const { return !type(entry.input).is_codes(); }
  bool gives_numbers() const { return !type(model->output).is_codes(); }
};

/// Throws Error, which names all nodes that have no C form and what they would take, and as Model::validate.
/// REQUIRES: `model` outlives the result.
Program make_program(const runtime::Model& model, Requantize requantize);

/// What stands for one output that sees one channel, without a scale a group: it has a loop of its own.
bool is_depthwise(const runtime::Product& product);
/// Whether every pixel is multiplied by itself, as in a linear layer.
bool is_by_pixel(const runtime::Product& product);

}  // namespace detent::interchange::c
