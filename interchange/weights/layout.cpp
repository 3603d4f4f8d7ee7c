#include "detent/interchange/weights/layout.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "detent/core/utf8.h"

namespace detent::interchange {
namespace {

using nn::Graph;

/// Follows flattened images through a graph.
class Follower {
 public:
  explicit Follower(const Graph& graph) : graph_(graph), image_(graph.nodes().size()) {}

  std::map<std::string, Turned> follow() {
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
      const Graph::Node& node = graph_.nodes()[i];
      if (node.module != nullptr) {
        image_[i] = visit(node);
      }
    }
    const std::size_t output = graph_.output().index;
    check(!mixes(image_[output]), "layout pytorch: the result of '", graph_.nodes()[output].name,
          "' is a flattened image, whose order would be another");
    return std::move(turned_);
  }

 private:
  using Image = std::optional<Shape>;  // [H, W, C] of what was flattened

  static bool mixes(const Image& image) { return image && (*image)[2] > 1 && (*image)[0] * (*image)[1] > 1; }

  /// What the node gives, with what it owns noted.
  Image visit(const Graph::Node& node) {
    const nn::Module* const module = node.module.get();
    const Image image = image_.at(node.inputs.at(0).index);
    if (nn::exactly<const nn::Flatten>(module) != nullptr) {
      const Shape& before = graph_.node(node.inputs[0]).shape;
      return before.rank() == 3 ? Image(before) : image;
    }
    if (nn::exactly<const nn::Conv2d>(module) != nullptr) {
      note_convolution(node);
      return std::nullopt;
    }
    if (nn::exactly<const nn::Linear>(module) != nullptr) {
      if (mixes(image)) {
        note(node, "weight", *image);
      }
      return std::nullopt;
    }
    if (nn::exactly<const nn::BatchNorm>(module) != nullptr && mixes(image)) {
      for (const nn::Slot& slot : node.module->slots()) {
        note(node, slot.name, *image);
      }
      return image;
    }
    return visit_other(node, image);
  }

  Image visit_other(const Graph::Node& node, const Image& image) const {
    const nn::Module* const module = node.module.get();
    const bool is_same_of_all =
        std::ranges::all_of(node.inputs, [&](Graph::Handle input) { return image_.at(input.index) == image; });
    const bool keeps_order = nn::exactly<const nn::ActivationLayer>(module) != nullptr ||
                             nn::exactly<const nn::Dropout>(module) != nullptr ||
                             nn::exactly<const nn::BatchNorm>(module) != nullptr ||
                             (nn::exactly<const nn::Add>(module) != nullptr && is_same_of_all);
    if (keeps_order) {
      return image;
    }
    for (const Graph::Handle input : node.inputs) {
      check(!mixes(image_.at(input.index)), "layout pytorch: '", node.name, "', of kind ", module->kind(),
            ", reads a flattened image, whose order it would have to know; write --layout detent");
    }
    return std::nullopt;
  }

  void note_convolution(const Graph::Node& node) {
    if (!node.owns_module()) {
      return;
    }
    const Shape weight = node.module->slots().at(0).shape;  // O KH KW I
    turned_.emplace(node.name + ".weight", Turned{.rows = weight[0],
                                                  .pixels = weight[1] * weight[2],
                                                  .channels = weight[3],
                                                  .detent = weight,
                                                  .pytorch = {weight[0], weight[3], weight[1], weight[2]}});
  }

  void note(const Graph::Node& node, const std::string& slot, const Shape& image) {
    if (!node.owns_module()) {
      return;
    }
    for (const nn::Slot& owned : node.module->slots()) {
      if (owned.name == slot) {
        turned_.emplace(node.name + "." + slot, Turned{.rows = owned.shape.elements() / image.elements(),
                                                       .pixels = image[0] * image[1],
                                                       .channels = image[2],
                                                       .detent = owned.shape,
                                                       .pytorch = owned.shape});
      }
    }
  }

  const Graph& graph_;
  std::vector<Image> image_;
  std::map<std::string, Turned> turned_;
};

/// Of each row, [a, b] elements as [b, a].
Tensor transposed(const Tensor& tensor, std::int64_t rows, std::int64_t a, std::int64_t b, const Shape& from,
                  const Shape& to) {
  check(tensor.shape() == from, "layout: expected ", from, ", got ", tensor.shape());
  Tensor result = Tensor::empty(to, tensor.dtype());
  const auto unit = static_cast<std::int64_t>(size_of(tensor.dtype()));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < a; ++i) {
      for (std::int64_t j = 0; j < b; ++j) {
        std::memcpy(result.raw() + ((row * b + j) * a + i) * unit, tensor.raw() + ((row * a + i) * b + j) * unit,
                    static_cast<std::size_t>(unit));
      }
    }
  }
  return result;
}

}  // namespace

const Names<Layout>& layout_names() {
  static const Names<Layout> names{{"detent", Layout::Detent}, {"pytorch", Layout::PyTorch}};
  return names;
}

std::string_view name_of(Layout layout) { return name_in(layout_names(), layout); }

Layout layout_from_name(std::string_view name) {
  const auto found = std::ranges::find(layout_names(), name, &Names<Layout>::value_type::first);
  check(found != layout_names().end(), "layout: expected detent or pytorch, got \"", valid_utf8(name), '"');
  return found->second;
}

std::map<std::string, Turned> turned_tensors(const Graph& graph) { return Follower(graph).follow(); }

Tensor to_pytorch(const Tensor& tensor, const Turned& turned) {
  return transposed(tensor, turned.rows, turned.pixels, turned.channels, turned.detent, turned.pytorch);
}

Tensor to_detent(const Tensor& tensor, const Turned& turned) {
  return transposed(tensor, turned.rows, turned.channels, turned.pixels, turned.pytorch, turned.detent);
}

}  // namespace detent::interchange
