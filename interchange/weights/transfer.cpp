#include "detent/interchange/weights/transfer.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "detent/interchange/same/canonical.h"

namespace detent::interchange {
namespace {

constexpr std::size_t kMostNamed = 20;
/// A counter that PyTorch's batch norms save, which nothing is computed from.
constexpr std::string_view kCounter = "num_batches_tracked";

/// What is wrong with a file, by what kind of wrong it is.
class Faults {
 public:
  void add(const std::string& kind, const std::string& what) { faults_[kind].push_back(what); }
  bool empty() const { return faults_.empty(); }
  /// "missing: a, b; not expected: c"
  std::string text() const {
    std::string text;
    for (const auto& [kind, names] : faults_) {
      text += (text.empty() ? "" : "; ") + kind + ": ";
      for (std::size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) {
        text += (i == 0 ? "" : ", ") + names[i];
      }
      text += names.size() > kMostNamed ? " and " + std::to_string(names.size() - kMostNamed) + " more" : "";
    }
    return text;
  }

 private:
  std::map<std::string, std::vector<std::string>> faults_;
};

/// A slot of a graph, and what its tensor is called in the file.
struct Place {
  std::string name, other_name;
  nn::Slot slot;
  const Turned* turned;  // null: it lies as it does here
};

const Turned* find(const std::map<std::string, Turned>& turned, const std::string& name) {
  const auto found = turned.find(name);
  return found == turned.end() ? nullptr : &found->second;
}

std::vector<Place> places_of(const nn::Graph& graph, const NameMap& names,
                             const std::map<std::string, Turned>& turned) {
  std::vector<Place> places;
  std::vector<std::string> own_names;
  for (const nn::Graph::Node& node : graph.nodes()) {
    for (nn::Slot& slot : node.owns_module() ? node.module->slots() : std::vector<nn::Slot>()) {
      const std::string name = node.name + "." + slot.name;
      own_names.push_back(name);
      places.push_back({name, names.other_name(name), std::move(slot), find(turned, name)});
    }
  }
  names.check_used(own_names);
  return places;
}

bool is_ambiguous(const std::map<std::string, Turned>& turned) {
  return std::ranges::any_of(
      turned, [](const auto& row) { return row.second.changes_order() || row.second.detent != row.second.pytorch; });
}

Layout layout_of(const WeightFile& file, const WeightOptions& options, const nn::Graph& graph) {
  check(!options.layout || !file.layout() || *options.layout == *file.layout(), file.path(),
        ": says that it has layout ", name_of(file.layout().value_or(Layout::Detent)), ", not ",
        name_of(options.layout.value_or(Layout::Detent)));
  if (options.layout || file.layout()) {
    return options.layout ? *options.layout : *file.layout();
  }
  check(!is_ambiguous(turned_tensors(graph)), file.path(),
        ": does not say in which order the weights of convolutions, and of what is behind a flatten, lie; write "
        "--layout pytorch (O I KH KW) or --layout detent (O KH KW I)");
  return Layout::Detent;
}

bool is_finite(const Tensor& tensor) {
  return tensor.dtype() != DType::F32 ||
         std::ranges::all_of(tensor.data<float>(), [](float x) { return std::isfinite(x); });
}

/// The tensor of a place, as it lies here; undefined where something is wrong with it, which is noted.
Tensor read(WeightFile& file, const Place& place, Faults& faults) {
  const std::string name = place.name == place.other_name ? place.name : place.name + " (" + place.other_name + ")";
  try {
    Tensor tensor = file.read(place.other_name);
    const Shape& expected = place.turned != nullptr ? place.turned->pytorch : place.slot.shape;
    if (place.slot.shape.elements() > 0 && tensor.shape() != expected) {
      std::ostringstream text;
      text << name << " expected " << expected << ", got " << tensor.shape();
      faults.add("of another shape", text.str());
      return {};
    }
    if (is_floating(tensor.dtype()) != is_floating(place.slot.dtype) ||
        (!is_floating(tensor.dtype()) && tensor.dtype() != place.slot.dtype)) {
      std::ostringstream text;
      text << name << " expected " << place.slot.dtype << ", got " << tensor.dtype();
      faults.add("of another type", text.str());
      return {};
    }
    tensor = tensor.to(place.slot.dtype);
    if (!is_finite(tensor)) {
      faults.add("with numbers that are not finite", name);
      return {};
    }
    return place.turned != nullptr ? to_detent(tensor, *place.turned) : tensor;
  } catch (const Error& error) {
    faults.add("not to be read", error.what());
    return {};
  }
}

}  // namespace

std::map<std::string, Tensor> weights_of(const quant::OpenedModel& model, const WeightOptions& options) {
  const Layout layout = options.layout.value_or(Layout::Detent);
  check(layout == Layout::Detent || model.kind == "fp32", "layout ", name_of(layout),
        ": is one of float models; this is of kind ", model.kind, ", whose tensors are written in Detent's");
  const std::map<std::string, Turned> turned =
      layout == Layout::PyTorch ? turned_tensors(*model.graph()) : std::map<std::string, Turned>();
  std::map<std::string, Tensor> weights;
  std::vector<std::string> own_names;
  for (const auto& [path, tensor] : canonical(model).tensors) {
    std::string name = path;
    std::ranges::replace(name, '/', '.');
    own_names.push_back(name);
    const Turned* const place = find(turned, name);
    const std::string other = options.names.other_name(name);
    const bool is_new = weights.emplace(other, place != nullptr ? to_pytorch(tensor, *place) : tensor).second;
    check(is_new, "names: two tensors would be called \"", other, '"');
  }
  options.names.check_used(own_names);
  return weights;
}

ReadWeights read_weights(WeightFile& file, nn::Graph& graph, const WeightOptions& options) {
  const Layout layout = layout_of(file, options, graph);
  const std::map<std::string, Turned> turned =
      layout == Layout::PyTorch ? turned_tensors(graph) : std::map<std::string, Turned>();
  const std::vector<Place> places = places_of(graph, options.names, turned);
  const std::set<std::string> in_file(file.names().begin(), file.names().end());
  std::set<std::string> unexpected = in_file;
  Faults faults;
  ReadWeights result;
  std::vector<Tensor> tensors(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Place& place = places[i];
    if (!in_file.contains(place.other_name)) {
      if (!place.slot.is_optional) {
        faults.add("missing", place.name == place.other_name ? place.name : place.other_name + " of " + place.name);
      }
      continue;
    }
    unexpected.erase(place.other_name);
    tensors[i] = read(file, place, faults);
  }
  for (const std::string& name : unexpected) {
    name.ends_with(kCounter) ? result.passed_over.push_back(name) : faults.add("not expected", name);
  }
  check(faults.empty(), file.path(), ": does not fit the model; ", faults.text());
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (tensors[i].defined()) {
      *places[i].slot.tensor = tensors[i];
      ++result.tensors;
      result.elements += tensors[i].elements();
    }
  }
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (node.owns_module()) {
      node.module->loaded();
    }
  }
  return result;
}

}  // namespace detent::interchange
