#pragma once

#include <map>
#include <string>
#include <string_view>

#include "detent/core/names.h"
#include "detent/nn/graph.h"

/// In which order the elements of weights lie.
///
///                                      Detent        PyTorch
///   convolution's weight               O KH KW I     O I KH KW
///   linear layer behind a flatten      O (H W C)     O (C H W)
///   batch norm behind a flatten        (H W C)       (C H W)
///
/// For Detent's images are H W C, PyTorch's C H W, and either flattens them as they lie. All other tensors are the
/// same.
namespace detent::interchange {

enum class Layout : std::uint8_t { Detent, PyTorch };

/// "detent", "pytorch".
const Names<Layout>& layout_names();
std::string_view name_of(Layout layout);
/// The inverse of name_of. Throws Error for any other text.
Layout layout_from_name(std::string_view name);

/// A tensor that the two have in another order: `rows` times `pixels` times `channels` elements, the channels fastest;
/// of PyTorch's the pixels.
struct Turned {
  std::int64_t rows = 1, pixels = 1, channels = 1;
  Shape detent = {}, pytorch = {};
  /// Whether the elements' order differs, and not the shape alone.
  bool changes_order() const { return pixels > 1 && channels > 1; }
};

/// Those of a float graph, by "<node>.<slot>". Throws Error, naming the node, where channels and pixels of a flattened
/// image reach what this does not know: a module of another kind than activations, dropout, batch norms, sums and
/// linear layers, or the graph's result.
std::map<std::string, Turned> turned_tensors(const nn::Graph& graph);

/// The same elements in the other order. REQUIRES: the shape that `turned` says.
Tensor to_pytorch(const Tensor& tensor, const Turned& turned);
Tensor to_detent(const Tensor& tensor, const Turned& turned);

}  // namespace detent::interchange
