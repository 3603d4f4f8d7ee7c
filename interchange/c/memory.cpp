#include "detent/interchange/c/memory.h"

#include <algorithm>
#include <limits>

#include "detent/interchange/c/layout.h"
#include "detent/interchange/c/support.h"
#include "detent/interchange/c/text.h"

namespace detent::interchange::c {
namespace {

using runtime::Model;
using runtime::Node;
using runtime::ValueId;
using runtime::ValueType;

constexpr std::int64_t kNumberBytes = sizeof(float);

bool has_number_scratch(const Node& node) {
  const auto* const hybrid = std::get_if<runtime::HybridProduct>(&node.op);
  return !node.output.is_codes() && (hybrid == nullptr || !hybrid->dynamic);
}

/// Step 0 makes the entries, the last one reads the result. What the caller gives memory for takes none here.
class Memory {
 public:
  explicit Memory(Program& program) : program_(program), buffer_of_(program.model->values(), kNone) {
    const Model& model = *program_.model;
    for (const Entry& entry : program_.entries) {
      add(entry.value, 0, program_.quantizes(entry));
    }
    const ValueId result = root_of(model, program_.result);
    scratch_of_.assign(model.nodes.size(), kNone);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const std::size_t index = program_.steps[i];
      const Node& node = model.nodes[index];
      const auto time = static_cast<std::int64_t>(i) + 1;
      for (const ValueId input : node.inputs) {
        use(input, time);
      }
      add(model.value_of(index), time, model.value_of(index) != result || program_.dequantizes());
      if (const std::int64_t bytes = scratch_bytes(model, node); bytes > 0) {
        scratch_of_[index] = buffers_.size();
        buffers_.push_back({bytes, time, time});
        program_.keeps_numbers |= has_number_scratch(node);
      }
    }
    use(program_.result, static_cast<std::int64_t>(program_.steps.size()) + 1);
  }

  void place_all() {
    const std::int64_t unit = program_.keeps_numbers ? kNumberBytes : 1;
    const Layout layout = place(buffers_, unit);
    program_.arena_bytes = std::max((layout.bytes + unit - 1) / unit * unit, unit);
    const Model& model = *program_.model;
    const auto at = [&](std::size_t buffer, bool is_numbers) {
      const std::int64_t offset = layout.offsets[buffer] / (is_numbers ? kNumberBytes : 1);
      return std::string(is_numbers ? "arena->numbers" : "arena->bytes") + (offset == 0 ? "" : " + " + number(offset));
    };
    program_.address.resize(model.values());
    program_.scratch.resize(model.nodes.size());
    const ValueId result = root_of(model, program_.result);
    for (ValueId value = 0; value < model.values(); ++value) {
      const ValueId root = root_of(model, value);
      if (buffer_of_[root] != kNone) {
        program_.address[value] = root == result ? "output" : at(buffer_of_[root], !model.type(value).is_codes());
      }
    }
    program_.result_offset = layout.offsets[buffer_of_[result]];
    for (Entry& entry : program_.entries) {
      entry.offset = layout.offsets[buffer_of_[entry.value]];
    }
    for (ValueId value = 0; value < model.values(); ++value) {
      for (const Entry& entry : program_.entries) {
        if (root_of(model, value) == entry.value) {
          program_.address[value] = entry.name;
        }
      }
    }
    for (std::size_t node = 0; node < model.nodes.size(); ++node) {
      const bool is_numbers = has_number_scratch(model.nodes[node]);
      program_.scratch[node] = scratch_of_[node] == kNone ? "" : at(scratch_of_[node], is_numbers);
    }
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  void add(ValueId value, std::int64_t time, bool is_kept) {
    const ValueType& type = program_.type(value);
    buffer_of_[value] = buffers_.size();
    buffers_.push_back({is_kept ? type.shape.elements() * (type.is_codes() ? 1 : kNumberBytes) : 0, time, time});
    program_.keeps_numbers |= is_kept && !type.is_codes();
  }
  void use(ValueId value, std::int64_t time) {
    Buffer& buffer = buffers_[buffer_of_[root_of(*program_.model, value)]];
    buffer.last = std::max(buffer.last, time);
  }

  Program& program_;
  std::vector<std::size_t> buffer_of_;  // of each value that has one
  std::vector<std::size_t> scratch_of_ = {};
  std::vector<Buffer> buffers_ = {};
};

}  // namespace

void place_values(Program& program) { Memory(program).place_all(); }

}  // namespace detent::interchange::c
