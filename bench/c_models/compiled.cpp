#include "bench/c_models/compiled.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "bench/c_models/expected.h"
#include "detent/core/error.h"

namespace detent::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFlags = "-std=c99 -pedantic -Wall -Wextra -Werror -Wconversion -Wmissing-prototypes";

/// Reads images, runs the model on each, and writes the digests of what it shows, and its output.
constexpr const char* kDriver = R"(#include <stdint.h>
#include <stdio.h>
static void show(const void *value, unsigned long bytes) {
  const unsigned char *at = (const unsigned char *)value;
  uint32_t hash = 2166136261U;
  unsigned long i;
  for (i = 0; i < bytes; ++i) {
    hash = (hash ^ at[i]) * 16777619U;
  }
  fwrite(&hash, sizeof hash, 1, stdout);
}
#define NET_TAP(layer, codes, count) show(codes, count)
#define NET_TAP_NUMBERS(layer, numbers, count) show(numbers, count * sizeof(float))
#include NET_SOURCE
static float x[NET_INPUT_ELEMENTS], y[NET_OUTPUT_ELEMENTS];
int main(void) {
  while (fread(x, sizeof x, 1, stdin) == 1) {
    net_run(x, y);
    fwrite(y, sizeof y, 1, stdout);
  }
  return ferror(stdout);
}
)";

/// What the program would be without the tools of the comparison.
constexpr const char* kPlain = R"(#include <stdio.h>
#include NET_HEADER
static float x[NET_INPUT_ELEMENTS], y[NET_OUTPUT_ELEMENTS];
int main(void) {
  if (fread(x, sizeof x, 1, stdin) != 1) {
    return 1;
  }
  net_run(x, y);
  return fwrite(y, sizeof y, 1, stdout) != 1;
}
)";

void write(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  check(file.flush().good(), path.string(), ": cannot be written");
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int shell(const fs::path& folder, const std::string& command) {
  return std::system(("cd '" + folder.string() + "' && ( " + command + " ) > messages 2>&1").c_str());
}

void must(const fs::path& folder, const std::string& command) {
  check(shell(folder, command) == 0, command, ": failed: ", text_of(folder / "messages"));
}

}  // namespace

CompiledModel::CompiledModel(const interchange::c::Export& made, const interchange::c::Program& program,
                             const Tensor& images)
    : shown_(shown_values(program).size()),
      outputs_(static_cast<std::size_t>(program.type(program.model->output).shape.elements())),
      image_bytes_(static_cast<std::int64_t>(images.bytes()) / images.shape()[0]) {
  check(program.inputs.size() == 1, "expected a model of one input");
  std::string folder = (fs::temp_directory_path() / "detent-c-XXXXXX").string();
  check(::mkdtemp(folder.data()) != nullptr, folder, ": cannot be made");
  folder_ = folder;
  write(folder_ / "net.h", made.header);
  write(folder_ / "net.c", made.source);
  write(folder_ / "net_test.c", made.self_test);
  write(folder_ / "driver.c", kDriver);
  write(folder_ / "plain.c", kPlain);
  write(folder_ / "it.c", "#include <stdio.h>\nint main(void) { return puts(\"ok\") < 0; }\n");
  std::ofstream file(folder_ / "images.f32", std::ios::binary);
  file.write(reinterpret_cast<const char*>(images.raw()), static_cast<std::streamsize>(images.bytes()));
  check(file.flush().good(), folder_.string(), ": images cannot be written");
}

CompiledModel::~CompiledModel() {
  std::error_code error;
  fs::remove_all(folder_, error);
}

std::optional<Given> CompiledModel::run(const std::string& compiler, std::int64_t images) const {
  if (shell(folder_, compiler + " it.c -o it && ./it") != 0) {
    return {};
  }
  must(folder_, compiler + " " + kFlags + " net.c net_test.c -o self_test && ./self_test");
  must(folder_, compiler + " -std=c99 '-DNET_SOURCE=\"net.c\"' driver.c -o driver && head -c " +
                    std::to_string(images * image_bytes_) + " images.f32 | ./driver > given.bin");
  const std::string bytes = text_of(folder_ / "given.bin");
  const std::size_t row = (shown_ + outputs_) * 4;
  check(bytes.size() == row * static_cast<std::size_t>(images), compiler, ": expected ", row, " bytes an image, got ",
        bytes.size(), " in all");
  Given given;
  given.digests.resize(static_cast<std::size_t>(images) * shown_);
  given.results.resize(static_cast<std::size_t>(images) * outputs_);
  for (std::size_t n = 0; n < static_cast<std::size_t>(images); ++n) {
    std::memcpy(given.digests.data() + n * shown_, bytes.data() + n * row, shown_ * 4);
    std::memcpy(given.results.data() + n * outputs_, bytes.data() + n * row + shown_ * 4, outputs_ * 4);
  }
  return given;
}

std::int64_t CompiledModel::object_bytes() const {
  must(folder_, "gcc -O2 -std=c99 -c net.c -o net.o && size net.o | awk 'NR == 2 { print $1 + $2 }' > bytes");
  return std::stoll(text_of(folder_ / "bytes"));
}

std::int64_t CompiledModel::program_bytes() const {
  must(folder_, "gcc -O2 -std=c99 -s '-DNET_HEADER=\"net.h\"' net.c plain.c -o plain");
  return static_cast<std::int64_t>(fs::file_size(folder_ / "plain"));
}

}  // namespace detent::bench
