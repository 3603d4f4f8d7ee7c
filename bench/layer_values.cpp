// The values of a model of any kind, for programs that compare another runtime's with them.
//
//   layer_values model.h5 examples.f32 BATCH values
//
// examples.f32 holds examples as the model takes them, f32 one behind the other; what is left of the last batch is not
// looked at. The file `values` gets batch after batch, of each the values in turn, [BATCH, ...shape]: codes as u8, real
// numbers as f32. Of a model with codes these are its codes and its output, of others the output alone. Standard output
// says which values: [{"name": "conv1", "type": "u8", "shape": [26, 26, 32]}, ...], the output last.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "detent/core/threads/parallel.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"
#include "detent/runtime/plan.h"

namespace detent {
namespace {

runtime::Model model_in(const std::string& file) {
  quant::OpenedModel opened = quant::open_model(file);
  return opened.model() != nullptr ? *opened.model()
         : opened.kind == "fp32"   ? quant::lower(*opened.graph())
                                   : quant::convert(*opened.graph()).model;
}

void write_values(const std::string& file, const std::string& examples, std::int64_t batch, const std::string& target) {
  const runtime::Model model = model_in(file);
  std::vector<runtime::ValueId> ids;
  for (runtime::ValueId id = 0; id < model.values(); ++id) {
    if (model.type(id).is_codes() && id != model.output) {
      ids.push_back(id);
    }
  }
  ids.push_back(model.output);
  nlohmann::json values = nlohmann::json::array();
  for (const runtime::ValueId id : ids) {
    const auto extents = model.type(id).shape.extents();
    values.push_back({{"name", model.name(id)},
                      {"type", model.type(id).is_codes() ? "u8" : "f32"},
                      {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())}});
  }
  runtime::Plan plan(model, batch, {.keeps_values = true});
  std::ifstream in(examples, std::ios::binary);
  std::ofstream out(target, std::ios::binary);
  Tensor x = Tensor::empty(model.inputs[0].type.shape.batched(batch), DType::F32);
  while (in.read(reinterpret_cast<char*>(x.raw()), static_cast<std::streamsize>(x.bytes()))) {
    plan.run(x);
    for (const runtime::ValueId id : ids) {
      const Tensor& value = plan.value(id);
      out.write(reinterpret_cast<const char*>(value.raw()), static_cast<std::streamsize>(value.bytes()));
    }
  }
  check(out.flush().good(), target, ": cannot be written");
  std::cout << values.dump() << '\n';
}

}  // namespace
}  // namespace detent

int main(int argc, char** argv) {
  try {
    detent::check(argc == 5, "layer_values: expected model.h5 examples.f32 BATCH values");
    detent::ThreadPool pool(detent::hardware_threads());
    pool.run([&] { detent::write_values(argv[1], argv[2], std::stoll(argv[3]), argv[4]); });
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
