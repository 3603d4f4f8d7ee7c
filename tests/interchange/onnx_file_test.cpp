// ONNX files: there and back, and what is refused.
#include "detent/interchange/onnx/model_file.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/data/temp_folder.h"
#include "tests/error_of.h"
#include "tests/interchange/onnx_samples.h"

namespace detent::onnx::onnx_file_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(OnnxFile, HoldsWhatWasWritten) {
  const Model before = sample().model;
  const std::vector<std::byte> bytes = to_bytes(before);
  const Model after = parse_model(bytes, {});
  EXPECT_EQ(to_bytes(after), bytes);
  EXPECT_EQ(after.opsets, before.opsets);
  EXPECT_EQ(after.inputs[0].dims, before.inputs[0].dims);
  EXPECT_EQ(after.inputs[0].batch, "N");
  ASSERT_EQ(after.initializers.size(), 3U);
  EXPECT_EQ(after.initializers[2].reals(), before.initializers[2].reals());
  ASSERT_EQ(after.nodes.size(), 5U);
  EXPECT_EQ(after.nodes[0].integers("kernel_shape", {}), (Numbers{3, 3}));
  EXPECT_EQ(after.nodes[1].real("alpha", 0), 0.25F);
}

TEST(OnnxFile, AttributesOfAnotherTypeAreRefused) {
  const Model model = sample().model;
  EXPECT_EQ(error_of([&] { (void)model.nodes[1].integer("alpha", 0); }), "attribute 'alpha': expected a whole number");
  EXPECT_EQ(error_of([&] { (void)model.nodes[0].text("kernel_shape", ""); }),
            "attribute 'kernel_shape': expected a text");
}

TEST(OnnxFile, IntegersOfFourBitsLieTwoInAByte) {
  const Array codes{
      .name = "w", .type = ElementType::S4, .dims = {5}, .bytes = {std::byte{0x71}, std::byte{0x8f}, std::byte{0x0a}}};
  EXPECT_THAT(codes.integers(), ElementsAre(1, 7, -1, -8, -6));
}

TEST(OnnxFile, EveryTruncationIsAnErrorOrAModel) {
  const std::vector<std::byte> bytes = to_bytes(sample().model);
  std::size_t refused = 0;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    refused += error_of([&] { import_graph(parse_model(std::span(bytes).first(length), {})); }) == "no error" ? 0 : 1;
  }
  EXPECT_EQ(refused, bytes.size());
}

TEST(OnnxFile, EveryDamagedByteIsAnErrorOrAModel) {
  const std::vector<std::byte> bytes = to_bytes(sample().model);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
      std::vector<std::byte> damaged = bytes;
      damaged[i] ^= static_cast<std::byte>(flip);
      (void)error_of([&] { import_graph(parse_model(damaged, {})); });
    }
  }
}

TEST(OnnxFile, SizesAreCheckedBeforeMemoryIsAskedFor) {
  const auto refusal = [](std::vector<std::int64_t> dims, std::size_t bytes) {
    Making making = sample();
    making.model.initializers[2].dims = std::move(dims);
    making.model.initializers[2].bytes.resize(bytes);
    return error_of([&] { parse_model(to_bytes(making.model), {}); });
  };
  EXPECT_EQ(refusal({1 << 30, 1 << 30}, 96), "tensor 'w': its shape is [1073741824, 1073741824], too large");
  EXPECT_EQ(refusal({1 << 20, 1 << 20}, 96), "tensor 'w': its shape and type ask for 4398046511104 bytes, it has 96");
  EXPECT_THAT(refusal({-1, 2}, 96), HasSubstr("tensor 'w': "));
  EXPECT_EQ(refusal({12, 2}, 95), "tensor 'w': its shape and type ask for 96 bytes, it has 95");
  EXPECT_THAT(refusal({std::int64_t{1} << 62, 4}, 96), HasSubstr("tensor 'w': "));
}

TEST(OnnxFile, OtherFilesAreNamed) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { read_model(folder / "none.onnx"); }),
            (folder / "none.onnx").string() + ": cannot be read: there is no such file");
  std::ofstream(folder / "text.onnx") << "this is no model";
  EXPECT_THAT(error_of([&] { read_model(folder / "text.onnx"); }), HasSubstr("text.onnx: it is no ONNX model"));
  std::ofstream(folder / "empty.onnx") << "";
  EXPECT_THAT(error_of([&] { read_model(folder / "empty.onnx"); }), HasSubstr("it is no ONNX model"));
}

TEST(OnnxFile, TensorsMayLieInFilesBesideTheModel) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "inner");
  std::vector<float> values(26);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i);
  }
  std::ofstream(folder / "inner/w.bin", std::ios::binary).write(reinterpret_cast<const char*>(values.data()), 104);
  const Model model = parse_model(with_external("inner/w.bin", "8", "96"), folder.path());
  ASSERT_EQ(model.initializers.size(), 3U);
  EXPECT_EQ(model.initializers[2].reals().front(), 2.0F);
  EXPECT_EQ(model.initializers[2].reals().back(), 25.0F);
  EXPECT_EQ(parse_model(with_external("inner/w.bin", "", ""), folder.path()).initializers[2].reals().back(), 23.0F);
}

TEST(OnnxFile, TensorsOutsideOfItsFolderAreNotRead) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "model");
  std::ofstream(folder / "secret.bin") << std::string(96, 'a');
  std::filesystem::create_symlink(folder / "secret.bin", folder / "model/link.bin");
  const auto refusal = [&](const std::string& location, const std::string& offset, const std::string& length) {
    return error_of([&] { parse_model(with_external(location, offset, length), folder / "model"); });
  };
  const std::string outside = "only files beside the model are read";
  EXPECT_THAT(refusal("../secret.bin", "", ""), HasSubstr(outside));
  EXPECT_THAT(refusal("a/../../secret.bin", "", ""), HasSubstr(outside));
  EXPECT_THAT(refusal("/etc/hostname", "", ""), HasSubstr(outside));
  EXPECT_THAT(refusal("link.bin", "", ""), HasSubstr(outside));
  EXPECT_THAT(refusal(".", "", ""), HasSubstr(outside));
  EXPECT_EQ(refusal("none.bin", "", ""),
            "tensor 'w': external data: there is no file 'none.bin' beside the model; put it there");
  std::ofstream(folder / "model/w.bin") << std::string(96, 'a');
  EXPECT_THAT(refusal("w.bin", "8", ""), HasSubstr("expected 96 bytes from byte 8 on, but w.bin has 96 bytes"));
  EXPECT_THAT(refusal("w.bin", "18446744073709551615", ""), HasSubstr("expected 96 bytes from byte"));
  EXPECT_THAT(refusal("w.bin", "-1", ""), HasSubstr("offset: expected a whole number of bytes, got '-1'"));
  EXPECT_THAT(refusal("w.bin", "0", "4294967296"), HasSubstr("but its length is 4294967296"));
}

}  // namespace
}  // namespace detent::onnx::onnx_file_test
