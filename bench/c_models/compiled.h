#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "detent/interchange/c/export.h"

namespace detent::bench {

/// What a compiled model gave of each image.
struct Given {
  std::vector<std::uint32_t> digests = {};  ///< of the values that it shows
  std::vector<float> results = {};
};

/// An exported model in a folder of its own, which goes with it. REQUIRES: one input.
class CompiledModel {
 public:
  CompiledModel(const interchange::c::Export& made, const interchange::c::Program& program, const Tensor& images);
  ~CompiledModel();
  CompiledModel(const CompiledModel&) = delete;
  CompiledModel& operator=(const CompiledModel&) = delete;

  /// Compiles it with all warnings, as errors, and runs its self-test and the first `images`. None: the compiler makes
  /// no programs here. Throws Error where it does, but not of the model, or where the model fails.
  std::optional<Given> run(const std::string& compiler, std::int64_t images) const;

  /// Code and constants of its object file, and the whole program without symbols, as `gcc -O2` makes them.
  std::int64_t object_bytes() const;
  std::int64_t program_bytes() const;

 private:
  std::filesystem::path folder_;
  std::size_t shown_;
  std::size_t outputs_;
  std::int64_t image_bytes_;
};

}  // namespace detent::bench
