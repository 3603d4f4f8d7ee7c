#include "detent/core/dtype.h"

#include <array>

namespace detent {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array<Row, 7> kRows{{{DType::F32, "f32", 4},
                                    {DType::F64, "f64", 8},
                                    {DType::BF16, "bf16", 2},
                                    {DType::F16, "f16", 2},
                                    {DType::U8, "u8", 1},
                                    {DType::S8, "s8", 1},
                                    {DType::S32, "s32", 4}}};

const Row& row_of(DType dtype) { return kRows[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::size_t size_of(DType dtype) { return row_of(dtype).bytes; }

std::string_view name_of(DType dtype) { return row_of(dtype).name; }

DType dtype_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) {
      return row.dtype;
    }
  }
  fail("dtype: expected one of f32, f64, bf16, f16, u8, s8, s32, got '", name, "'");
}

bool is_floating(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F64 || dtype == DType::BF16 || dtype == DType::F16;
}

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name_of(dtype); }

const Names<DType>& precision_names() {
  static const Names<DType> names{{"fp32", DType::F32}, {"bf16", DType::BF16}, {"fp16", DType::F16}};
  return names;
}

std::string_view precision_name(DType dtype) { return name_in(precision_names(), dtype); }

}  // namespace detent
