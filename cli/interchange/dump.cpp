#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/text/shape_text.h"
#include "detent/data/formats/numpy/npz_writer.h"
#include "detent/evaluation/evaluate.h"
#include "detent/evaluation/portrait/layer_sums.h"
#include "detent/evaluation/tap/tapped.h"
#include "detent/report/json_text.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

constexpr std::int64_t kExamples = 16;

/// What a layer gave, example by example.
struct Layer {
  std::string name;
  std::size_t place;  ///< among the values of a tapped model; npos: the examples themselves
  Tensor reals = {};  ///< f32 [N, ...]
  Tensor codes = {};  ///< u8 of the same shape, where it gives codes
  std::shared_ptr<const QParams> map = nullptr;

  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
};

std::string input_name(const quant::OpenedModel& model) {
  return model.model() != nullptr ? model.model()->inputs.at(0).name : model.graph()->inputs()[0].name;
}

/// The layers that `wanted` names, all where it names none, in running order.
std::vector<Layer> layers_of(const quant::OpenedModel& model, const evaluation::Tapped& tapped,
                             const std::vector<std::string>& wanted) {
  std::vector<Layer> all{{input_name(model), Layer::npos}};
  for (const auto& [name, shape] : tapped.layers()) {
    all.push_back({name, all.size() - 1});
  }
  std::vector<std::string> names;
  std::ranges::transform(all, std::back_inserter(names), &Layer::name);
  for (const std::string& name : wanted) {
    check(std::ranges::count(names, name) > 0, "dump: the model has no layer '", name, "'", hint(name, names),
          " `detent inspect` lists its layers");
  }
  if (!wanted.empty()) {
    std::erase_if(all, [&](const Layer& layer) { return !std::ranges::count(wanted, layer.name); });
  }
  return all;
}

/// Puts the values of a batch, whose first example is number `first` of `count`, behind those that are there.
void append(Layer& layer, const Tensor& values, std::int64_t first, std::int64_t count) {
  const Shape shape = values.shape().row().batched(count);
  const auto at = static_cast<std::size_t>(first * values.shape().row_elements());
  if (first == 0) {
    layer.map = values.qparams();
    layer.reals = Tensor::empty(shape, DType::F32);
    layer.codes = layer.map != nullptr ? Tensor::empty(shape, DType::U8) : Tensor();
  }
  const std::vector<float> reals = evaluation::reals_of(values);
  std::ranges::copy(reals, layer.reals.data<float>().begin() + static_cast<std::ptrdiff_t>(at));
  if (layer.map != nullptr) {
    std::memcpy(layer.codes.raw() + at, values.raw(), values.bytes());
  }
}

void write(const std::string& path, const std::vector<Layer>& layers) {
  data::NpzWriter file(path);
  for (const Layer& layer : layers) {
    file.add(layer.name, layer.reals);
    if (layer.map != nullptr) {
      const ScaleZero map = layer.map->tensor();
      file.add(layer.name + ".codes", layer.codes);
      file.add(layer.name + ".scale", Tensor::scalar(map.scale));
      file.add(layer.name + ".zero_point", Tensor::scalar(map.zero_point));
    }
  }
  file.commit();
}

void run(evaluation::Tapped& tapped, const data::Dataset& dataset, const data::Normalization& normalization,
         std::vector<Layer>& layers, evaluation::Reporter& reporter) {
  std::int64_t first = 0;
  evaluation::for_each_batch(dataset, normalization, "dump", reporter, [&](const data::Batch& batch) {
    const std::vector<Tensor> values = tapped.run(batch.examples);
    for (Layer& layer : layers) {
      append(layer, layer.place == Layer::npos ? batch.examples : values[layer.place], first, dataset.size());
    }
    first += batch.size();
  });
}

int dump(const Arguments& arguments) {
  const std::string& file = arguments.positionals()[0];
  const std::optional<std::string> out = arguments.text("output");
  check(out && out->ends_with(".npz"), "dump: expected an archive of numpy to write, -o FILE.npz; write detent dump ",
        file, " -o values.npz");
  const std::int64_t examples = arguments.whole("examples", kExamples, 1, 1'000'000'000);
  const bool is_json = arguments.has("json");
  ConsoleReporter reporter(is_json);
  std::vector<Layer> layers;
  in_pool(arguments, [&] {
    const quant::OpenedModel model = quant::open_model(file);
    const std::unique_ptr<evaluation::Tapped> tapped = evaluation::tap(model, evaluation::FloatLayers::Modules);
    layers = layers_of(model, *tapped, arguments.texts("layer"));
    const train::RunData data = train::open_model_data(model, arguments.text("data"));
    reporter.message("data: " + data.description);
    run(*tapped, data.test.take(examples), data.normalization, layers, reporter);
    write(*out, layers);
  });
  nlohmann::json rows = nlohmann::json::array();
  std::string text;
  for (const Layer& layer : layers) {
    const auto extents = layer.reals.shape().extents();
    const bool has_codes = layer.map != nullptr;
    rows.push_back({{"name", layer.name},
                    {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                    {"has_codes", has_codes}});
    text += layer.name + " " + text_of(layer.reals.shape()) + (has_codes ? ", with .codes, .scale, .zero_point" : "") +
            "\n";
  }
  print(is_json ? report::json_text({{"model", file}, {"file", *out}, {"arrays", rows}})
                : text + "wrote " + *out + "\n");
  return 0;
}

}  // namespace

Command dump_command() {
  return {.spec = {.name = "dump",
                   .positionals = "MODEL.h5",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Write what layers give on examples as NumPy arrays: codes and real values",
                   .example = "detent dump runs/mnist-cnn/int8.h5 --layer conv2 --data mnist/ -o conv2.npz",
                   .options = {{"o,output", "FILE", "The archive .npz to write"},
                               {"layer", "NAME", "A layer, or the input; can be given again (default: all)"},
                               {"examples", "N", "The first so many test examples (default: 16)"},
                               data_option(),
                               threads_option(),
                               json_option()}},
          .run = dump};
}

}  // namespace detent::cli
