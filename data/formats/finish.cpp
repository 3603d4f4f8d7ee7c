#include "detent/data/formats/finish.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "detent/data/formats/images/layout.h"
#include "detent/data/split.h"

namespace detent::data {
namespace {

void make_images(Dataset& dataset, const ReadOptions& options, const std::string& where) {
  const bool was_images = dataset.has_images();
  dataset.examples = images_as_asked(dataset.examples, options, where);
  if (dataset.has_images() && !was_images) {
    dataset.feature_names.clear();
  }
}

}  // namespace

Tensor images_as_asked(const Tensor& examples, const ReadOptions& options, const std::string& where) {
  const Shape& shape = examples.shape();
  if (examples.dtype() == DType::U8 && shape.rank() == 4) {
    const Tensor images = options.channels != 0 ? with_channels(examples, options.channels) : examples;
    return options.height != 0 ? resized(images, options.height, options.width) : images;
  }
  if (options.height == 0 || shape.rank() != 2) {
    return examples;
  }
  const std::int64_t pixels = options.height * options.width;
  const std::int64_t channels = options.channels != 0 ? options.channels : shape[1] / pixels;
  check(channels >= 1 && pixels * channels == shape[1], where, ": image_size: an image of ", options.height, " x ",
        options.width, " has ", pixels, " pixels, but a row has ", shape[1], " features");
  const Shape images{shape[0], options.height, options.width, channels};
  if (examples.dtype() == DType::U8) {
    return examples.reshape(images);
  }
  const std::span<const float> values = examples.data<float>();
  const auto bad = std::ranges::find_if_not(
      values, [](float x) { return x >= 0.0F && x <= 255.0F && static_cast<float>(static_cast<int>(x)) == x; });
  check(bad == values.end(), where, ": image_size: pixels are whole numbers from 0 to 255, but one is ",
        bad == values.end() ? 0.0F : *bad, "; leave image_size out to take features as they are");
  return examples.to(DType::U8).reshape(images);
}

DataSource finished(DataSource source, const std::filesystem::path& path, const ReadOptions& options) {
  const std::string where = path.string();
  const auto seed = static_cast<std::uint64_t>(options.split_seed);
  const bool has_test = source.test.labels.defined();
  source.train.validate(where + (has_test ? " (train)" : ""));
  make_images(source.train, options, where);
  if (has_test) {
    source.test.validate(where + " (test)");
    make_images(source.test, options, where);
  } else {
    const Split split = stratified_split(source.train, options.test_share, seed);
    check(!split.held_out.empty(), where, ": has no test part, and of ", source.train.size(),
          " examples none can be split off; name data with more examples of a class, or a larger test_share under "
          "[data]");
    source.test = source.train.subset(split.held_out);
    source.train = source.train.subset(split.kept);
  }
  source.train = shuffled(source.train, seed);
  source.test = shuffled(source.test, seed);
  source.validate(where);
  source.describe(options.name.empty() ? name_of_path(path) : options.name, path);
  if (!has_test) {
    std::ostringstream text;
    text << ", the test part split off " << (source.train.targets == TargetKind::kValues ? "" : "by class ")
         << "(test_share " << options.test_share << ", split_seed " << options.split_seed << ')';
    source.description += text.str();
  }
  return source;
}

}  // namespace detent::data
