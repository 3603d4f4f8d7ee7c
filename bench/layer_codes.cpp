// The codes of every value of an int8 model, for programs that compare another runtime's with them.
//
//   layer_codes int8.h5 examples.f32 BATCH codes.u8
//
// examples.f32 holds examples as the model takes them, f32 one behind the other; what is left of the last batch is not
// looked at. codes.u8 gets batch after batch, of each the codes of every value in turn, [BATCH, ...shape]. Standard
// output says which values: [{"name": "conv1", "shape": [26, 26, 32]}, ...].
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "detent/core/threads/parallel.h"
#include "detent/runtime/model_file.h"
#include "detent/runtime/plan.h"

namespace detent {
namespace {

void write_codes(const std::string& file, const std::string& examples, std::int64_t batch, const std::string& target) {
  const runtime::Model model = runtime::load_model(file).model;
  nlohmann::json values = nlohmann::json::array();
  std::vector<runtime::ValueId> ids;
  for (runtime::ValueId id = 0; id < model.values(); ++id) {
    if (model.type(id).is_codes()) {
      ids.push_back(id);
      values.push_back({{"name", model.name(id)},
                        {"shape", std::vector<std::int64_t>(model.type(id).shape.extents().begin(),
                                                            model.type(id).shape.extents().end())}});
    }
  }
  runtime::Plan plan(model, batch, {.keeps_values = true});
  std::ifstream in(examples, std::ios::binary);
  std::ofstream out(target, std::ios::binary);
  Tensor x = Tensor::empty(model.inputs[0].type.shape.batched(batch), DType::F32);
  while (in.read(reinterpret_cast<char*>(x.raw()), static_cast<std::streamsize>(x.bytes()))) {
    plan.run(x);
    for (const runtime::ValueId id : ids) {
      const Tensor& codes = plan.value(id);
      out.write(reinterpret_cast<const char*>(codes.raw()), static_cast<std::streamsize>(codes.bytes()));
    }
  }
  check(out.flush().good(), target, ": cannot be written");
  std::cout << values.dump() << '\n';
}

}  // namespace
}  // namespace detent

int main(int argc, char** argv) {
  try {
    detent::check(argc == 5, "layer_codes: expected int8.h5 examples.f32 BATCH codes.u8");
    detent::ThreadPool pool(detent::hardware_threads());
    pool.run([&] { detent::write_codes(argv[1], argv[2], std::stoll(argv[3]), argv[4]); });
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
