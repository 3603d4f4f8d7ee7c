#pragma once

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "detent/optim/parameter.h"
#include "tests/places.h"

namespace detent::optim {

/// The lines of tests/golden/<name>.txt that begin with a word, as that word and the numbers after it, in order.
inline std::map<std::string, std::vector<std::vector<double>>> read_golden(const std::string& name) {
  const std::string path = source_path("tests/golden/" + name + ".txt");
  std::ifstream file(path);
  check(file.good(), "cannot read ", path);
  std::map<std::string, std::vector<std::vector<double>>> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    std::vector<double> numbers;
    for (double number = 0.0; words >> number;) {
      numbers.push_back(number);
    }
    rows[key].push_back(std::move(numbers));
  }
  return rows;
}

/// A trained tensor that owns itself.
struct TestParameter {
  std::string name;
  Tensor value;
  Tensor gradient = {};
  bool decay = true;
  ParameterRef ref() { return {name, &value, &gradient, decay}; }
};

/// The start value and the gradients that make_golden.py uses.
inline float golden_start(int i) { return 0.125F * static_cast<float>(i - 3); }
inline float golden_gradient(int step, int i) {
  return static_cast<float>((step * 37 + i * 23 + step * i * 5) % 129 - 64) / 64.0F;
}
inline Tensor golden_tensor(int size, const auto& element) {
  std::vector<float> values;
  for (int i = 0; i < size; ++i) {
    values.push_back(element(i));
  }
  return Tensor::from(values, {size});
}

}  // namespace detent::optim
