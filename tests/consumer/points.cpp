// A data format of one's own: a text file "*.points" of lines "x y class", the last fifth of which is the test set.
#include <fstream>
#include <vector>

#include "parts.h"

namespace consumer {

using namespace detent;

namespace {

data::DataSource read_points(const std::filesystem::path& path, const data::ReadOptions& options) {
  std::ifstream file(path);
  std::vector<float> points;
  std::vector<std::int32_t> labels;
  float x = 0.0F, y = 0.0F;
  for (std::int32_t label = 0; file >> x >> y >> label;) {
    points.insert(points.end(), {x, y});
    labels.push_back(label);
  }
  const auto count = static_cast<std::int64_t>(labels.size());
  check(file.eof() && count >= 5, path.string(), ": expected at least 5 lines \"x y class\", got ", count,
        " before something else");
  const data::Dataset all{.name = options.name,
                          .examples = Tensor::from(points, {count, 2}),
                          .labels = Tensor::from(labels, {count}),
                          .classes = 1 + *std::max_element(labels.begin(), labels.end())};
  data::DataSource source;
  const std::int64_t training = count - count / 5;
  source.train = source.test = all;
  source.train.examples = all.examples.rows(0, training);
  source.train.labels = all.labels.rows(0, training);
  source.test.examples = all.examples.rows(training, count);
  source.test.labels = all.labels.rows(training, count);
  source.describe(options.name.empty() ? data::name_of_path(path) : options.name, path);
  source.validate(path.string());
  return source;
}

}  // namespace

void add_points(data::Readers& readers) {
  readers.insert(readers.begin(), {.format = "points",
                                   .recognizes = [](const auto& path) { return path.extension() == ".points"; },
                                   .read = &read_points});
}

}  // namespace consumer
