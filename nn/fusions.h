#pragma once

#include <functional>

#include "detent/nn/graph.h"

/// What stands behind a module and may run in its kernel. This is the one search for it: who builds a graph or a model
/// in which the nodes run as one asks here.
namespace detent::nn {

/// What one node takes in, each only if nobody but the next in the row reads the value in between:
///
///   conv2d, linear   batch norm, add, ReLU, max-pool of 2 x 2, in this order, any of them missing
///   batch norm, add  ReLU
///
/// Where the fusion runs in place of its first node, all that it reads is there.
struct Fusion {
  std::optional<Graph::Handle> batch_norm = {}, add = {};
  std::optional<Graph::Handle> residual = {};  ///< what `add` reads beside the product; an earlier node gave it
  std::optional<Graph::Handle> relu = {}, max_pool = {};

  /// The nodes that are taken in, in running order; without the one that takes them in.
  std::vector<Graph::Handle> nodes() const;
};

/// Whether `taker`, a conv2d, linear, batch norm or add, may do the work of `node`, one of those that a fusion can
/// hold.
using MayFuse = std::function<bool(const Graph::Node& taker, const Graph::Node& node)>;

/// The fusions of a graph, one for each of its nodes: empty for those that take nothing in. No node is in two of them.
///
/// A conv2d, linear or batch norm that stands at several nodes takes in the same at all of them, or nothing; a batch
/// norm is taken in only if it stands nowhere else. Adds are fused each by itself, as they own nothing. A product that
/// does a ReLU already takes in a max-pool alone; a batch norm or add that does one takes in nothing and is not taken
/// in. Of two products that are added, the later one takes the add in.
std::vector<Fusion> find_fusions(const Graph& graph, const MayFuse& may_fuse);

/// Whether it is a ReLU.
bool is_relu(const Module& module);
inline bool is_relu(const Graph::Node& node) { return node.module && is_relu(*node.module); }

}  // namespace detent::nn
