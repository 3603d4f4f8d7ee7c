#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "detent/interchange/onnx/in/import.h"
#include "detent/interchange/onnx/model_file.h"
#include "detent/interchange/onnx/out/export.h"
#include "detent/interchange/weights/transfer.h"
#include "detent/quant/passes/lower.h"
#include "tests/fuzz/readers.h"
#include "tests/fuzz/seed_models.h"
#include "tests/interchange/onnx_samples.h"

namespace detent::fuzz {
namespace {

Bytes as_input(const std::vector<std::byte>& bytes) {
  const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {first, first + bytes.size()};
}

/// A folder with the file that models' tensors may lie in, "w.bin".
class ExternalFolder {
 public:
  ExternalFolder() : scratch_(".d"), path_(scratch_.path()) {
    constexpr std::size_t kBytes = 256;
    std::filesystem::create_directories(path_);
    std::ofstream(path_ / "w.bin", std::ios::binary) << std::string(kBytes, '\x3f');
  }
  ~ExternalFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ExternalFolder(const ExternalFolder&) = delete;
  ExternalFolder& operator=(const ExternalFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  ScratchFile scratch_;
  std::filesystem::path path_;
};

void read_onnx(View input) {
  static const ExternalFolder folder;
  onnx::import_graph(onnx::parse_model(std::as_bytes(input), folder.path()));
}

std::vector<Bytes> onnx_seeds() {
  return {as_input(onnx::to_bytes(onnx::sample().model)), as_input(onnx::with_external("w.bin", "8", "96")),
          as_input(onnx::to_bytes(onnx::export_model(quant::lower(float_graph())))),
          as_input(onnx::to_bytes(onnx::export_model(integer_model())))};
}

// The first byte says of which format the others are: safetensors, or npz.
void read_weights(View input) {
  const bool is_npz = !input.empty() && input[0] % 2 != 0;
  const ScratchFile file(is_npz ? ".npz" : ".safetensors");
  file.write(input.empty() ? input : input.subspan(1));
  const auto weights = interchange::WeightFile::open(file.path());
  nn::Graph graph = float_graph();
  interchange::read_weights(*weights, graph);
}

std::vector<Bytes> weight_seeds() {
  std::vector<Bytes> seeds;
  const auto tensors = interchange::weights_of({.kind = "fp32", .content = float_graph()});
  for (const std::string ending : {".safetensors", ".npz"}) {
    const ScratchFile file(ending);
    interchange::write_weights(file.path(), tensors, interchange::Layout::Detent);
    seeds.push_back(file.read());
    seeds.back().insert(seeds.back().begin(), static_cast<std::uint8_t>(seeds.size() - 1));
  }
  return seeds;
}

}  // namespace

std::vector<Reader> interchange_readers() {
  return {{.name = "onnx", .read = read_onnx, .seeds = onnx_seeds},
          {.name = "weights", .read = read_weights, .seeds = weight_seeds}};
}

}  // namespace detent::fuzz
