// Files of the safetensors format: what is written comes back, what is damaged or made up is refused in one line, and
// the format's own library agrees.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "detent/core/philox.h"
#include "detent/interchange/weights/safetensors.h"
#include "tests/data/temp_folder.h"
#include "tests/interchange/python.h"

namespace detent::interchange::weights_safetensors_test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::map<std::string, Tensor> tensors() {
  return {{"a", Tensor::from<std::int8_t>({-1, 2, 3}, {3})},
          {"b.weight", Tensor::from<float>({1.5F, -2.0F, 0.1F, 4.0F, 5.0F, 6.0F}, {2, 3})},
          {"c", Tensor::from<double>({0.1}, {})},
          {"d", Tensor::from<bfloat16>({bfloat16(0.5F), bfloat16(-3.0F)}, {2, 1})},
          {"e", Tensor::from<float16>({float16(0.5F)}, {1})},
          {"f", Tensor::from<std::uint8_t>({0, 255}, {2})},
          {"g", Tensor::from<std::int32_t>({-70000}, {1})},
          {"none", Tensor::empty({0, 3}, DType::F32)}};
}

/// A file with this header and so many bytes behind it.
std::string bytes_of(const std::string& header, std::size_t data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data, '\1');
}

std::string error_in(const TempFolder& folder, const std::string& bytes) {
  write_text(folder / "x.safetensors", bytes);
  return error_of([&] { SafetensorsFile file(folder / "x.safetensors"); });
}

TEST(Safetensors, WhatIsWrittenComesBack) {
  const TempFolder folder;
  write_safetensors(folder / "x.safetensors", tensors(), {{"layout", "pytorch"}});
  SafetensorsFile file(folder / "x.safetensors");
  EXPECT_THAT(file.metadata(), ElementsAre(std::pair("layout", "pytorch")));
  EXPECT_EQ(file.entries().size(), tensors().size());
  for (const SafetensorsFile::Entry& entry : file.entries()) {
    const Tensor expected = tensors().at(entry.name);
    const Tensor read = file.read(entry);
    EXPECT_EQ(read.dtype(), expected.dtype()) << entry.name;
    ASSERT_EQ(read.shape(), expected.shape()) << entry.name;
    EXPECT_TRUE(std::equal(read.raw(), read.raw() + read.bytes(), expected.raw())) << entry.name;
    EXPECT_EQ(entry.begin % size_of(read.dtype()), 0U) << entry.name << " is not aligned";
  }
}

TEST(Safetensors, TheBytesAreThoseOfTheSpecification) {
  const TempFolder folder;
  write_safetensors(folder / "x.safetensors", {{"w", Tensor::from<std::int32_t>({1, -1}, {2})}});
  const std::string header = R"({"w":{"data_offsets":[0,8],"dtype":"I32","shape":[2]}})";
  EXPECT_EQ(read_text(folder / "x.safetensors"),
            std::string("\x38\0\0\0\0\0\0\0", 8) + header + "  " + std::string("\1\0\0\0\xff\xff\xff\xff", 8));
}

TEST(Safetensors, AnyTruncationIsRefused) {
  const TempFolder folder;
  write_safetensors(folder / "whole.safetensors", tensors());
  const std::string whole = read_text(folder / "whole.safetensors");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string error = error_in(folder, whole.substr(0, size));
    EXPECT_TRUE(error.starts_with((folder / "x.safetensors").string() + ": ")) << size << ": " << error;
  }
  EXPECT_THAT(error_in(folder, whole + "x"), HasSubstr("belong to no tensor"));
}

TEST(Safetensors, AnyDamagedByteIsRefusedOrHarmless) {
  const TempFolder folder;
  write_safetensors(folder / "whole.safetensors", tensors());
  const std::string whole = read_text(folder / "whole.safetensors");
  RandomStream random(1, "damage");
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = whole;
    for (std::uint32_t n = 1 + random.index(3); n-- > 0;) {
      damaged[random.index(static_cast<std::uint32_t>(whole.size()))] = static_cast<char>(random.index(256));
    }
    write_text(folder / "x.safetensors", damaged);
    const std::string error = error_of([&] {
      SafetensorsFile file(folder / "x.safetensors");
      for (const SafetensorsFile::Entry& entry : file.entries()) {
        EXPECT_LE(file.read(entry).bytes(), whole.size());
      }
    });
    EXPECT_TRUE(error == "no error" || error.starts_with((folder / "x.safetensors").string() + ": ")) << error;
  }
}

TEST(Safetensors, WhatIsMadeUpIsRefusedInOneLine) {
  struct Case {
    std::string bytes;
    const char* message;
  };
  const std::string most = std::to_string(std::numeric_limits<std::uint64_t>::max());
  const std::vector<Case> cases{
      {"", "is no safetensors file, or truncated: it has 0 bytes"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "its header claims 18446744073709551615 bytes"},
      {bytes_of("", 0), "its header is no JSON object"},
      {bytes_of("[]", 0), "its header is no JSON object"},
      {bytes_of(" {}", 0), "its header is no JSON object"},
      {bytes_of("{", 0), "the description is not JSON"},
      {bytes_of("{\"a\xff\": 1}", 0), "the description is not JSON"},
      {bytes_of(R"({"a": )" + std::string(200, '[') + std::string(200, ']') + "}", 0), "nested deeper than 100"},
      {bytes_of(R"({"a": 1})", 0), "\"a\": expected dtype, shape and data_offsets, got 1"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [1]}})", 4), "expected dtype, shape and data_offsets"},
      {bytes_of(R"({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}})", 4), "unknown dtype \"F33\""},
      {bytes_of(R"({"a": {"dtype": 3, "shape": [1], "data_offsets": [0, 4]}})", 4), "unknown dtype 3"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4), "shape: expected at most 32"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}})", 4), "shape: expected at most 32"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [)" + most + R"(], "data_offsets": [0, 4]}})", 4),
       "shape: expected at most 32"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]}})", 4), "shape: expected at most 32"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}})", 4), "data_offsets: expected"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4),
       "do not lie within the 4 bytes"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", 4),
       "do not lie within the 4 bytes"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}})", 4), "do not lie within the 4 bytes"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4),
       "more elements than its 4 bytes"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [1099511627776, 1099511627776], "data_offsets": [0, 4]}})", 4),
       "more elements than its 4 bytes"},
      {bytes_of(R"({"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 8]}})", 8),
       "has 4 bytes, its data_offsets 8"},
      {bytes_of(R"({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 1]}})", 1),
       "has 0 bytes, its data_offsets 1"},
      {bytes_of(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},)"
                R"("b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}})",
                3),
       "\"b\" overlaps the tensor before it, which ends at byte 2"},
      {bytes_of(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},)"
                R"("b": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})",
                2),
       "overlaps the tensor before it"},
      {bytes_of(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}})", 2),
       "bytes 0 to 1 belong to no tensor"},
      {bytes_of(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}})", 2),
       "bytes 1 to 2 belong to no tensor"},
      {bytes_of(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},)"
                R"("a": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}})",
                1),
       "two tensors are called \"a\""},
      {bytes_of(R"({"__metadata__": {"a": 1}})", 0), "__metadata__: expected texts by name"},
      {bytes_of(R"({"__metadata__": "a"})", 0), "__metadata__: expected texts by name"},
  };
  const TempFolder folder;
  for (const Case& c : cases) {
    const std::string error = error_in(folder, c.bytes);
    EXPECT_THAT(error, HasSubstr(c.message)) << c.bytes;
    EXPECT_TRUE(error.starts_with((folder / "x.safetensors").string() + ": ")) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
  EXPECT_THAT(error_of([&] { SafetensorsFile file(folder.path()); }), HasSubstr(": no such file"));
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "y", {{"__metadata__", Tensor::scalar(1.0F)}});
              }),
              HasSubstr("a tensor cannot be called __metadata__"));
}

TEST(Safetensors, TypesThatNoTensorHasAreNamedWhereTheyAreRead) {
  const TempFolder folder;
  write_text(folder / "x.safetensors", bytes_of(R"({"a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},)"
                                                R"("b": {"dtype": "BOOL", "shape": [2], "data_offsets": [8, 10]}})",
                                                10));
  SafetensorsFile file(folder / "x.safetensors");
  EXPECT_THAT(error_of([&] { file.read(file.entries()[0]); }), HasSubstr("\"a\": elements are I64: expected F32"));
  EXPECT_EQ(file.read(file.entries()[1]).dtype(), DType::U8);
}

TEST(Safetensors, TheFormatsOwnLibraryAgrees) {
  const std::optional<std::string> python = python_with({"numpy", "safetensors"});
  if (!python) {
    GTEST_SKIP() << "no safetensors";
  }
  const TempFolder folder;
  std::map<std::string, Tensor> ours = tensors();
  ours.erase("d");  // numpy has no bf16
  write_safetensors(folder / "ours.safetensors", ours, {{"layout", "detent"}});
  run_python(*python, R"(
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
t = load_file('ours.safetensors')
assert sorted(t) == ['a', 'b.weight', 'c', 'e', 'f', 'g', 'none'], t
assert t['a'].dtype == np.int8 and t['a'].tolist() == [-1, 2, 3]
assert t['b.weight'].dtype == np.float32 and t['b.weight'].tolist() == np.float32([[1.5, -2, .1], [4, 5, 6]]).tolist()
assert t['c'].dtype == np.float64 and t['c'].shape == () and float(t['c']) == .1
assert t['e'].dtype == np.float16 and t['f'].tolist() == [0, 255] and t['g'].tolist() == [-70000]
assert t['none'].shape == (0, 3)
with safe_open('ours.safetensors', 'np') as f:
    assert f.metadata() == {'layout': 'detent'}
save_file({'w': np.arange(6, dtype=np.float32).reshape(2, 3), 'n': np.array(7),
           'k': np.array([True, False])}, 'theirs.safetensors', {'format': 'np'})
)",
             folder.path());
  SafetensorsFile theirs(folder / "theirs.safetensors");
  EXPECT_EQ(theirs.metadata().at("format"), "np");
  for (const SafetensorsFile::Entry& entry : theirs.entries()) {
    if (entry.name == "w") {
      const Tensor w = theirs.read(entry);
      EXPECT_EQ(w.shape(), Shape({2, 3}));
      EXPECT_THAT(w.data<float>(), ElementsAre(0, 1, 2, 3, 4, 5));
    } else {
      EXPECT_THAT(entry.dtype, AnyOf("I64", "BOOL"));
    }
  }
}

}  // namespace
}  // namespace detent::interchange::weights_safetensors_test
