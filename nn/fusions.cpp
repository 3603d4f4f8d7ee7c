#include "detent/nn/fusions.h"

#include <algorithm>

namespace detent::nn {
namespace {

using Handle = Graph::Handle;

/// A batch norm or an add that does a ReLU already is not for a product, whose own would come before it.
bool is_batch_norm(const Graph::Node& node) {
  const auto* const norm = exactly<const BatchNorm>(node.module.get());
  return norm != nullptr && !norm->settings().relu;
}

bool is_add(const Graph::Node& node) {
  const auto* const add = exactly<const Add>(node.module.get());
  return add != nullptr && !add->settings().relu;
}

bool is_pool_of_2x2(const Graph::Node& node) {
  const auto* const pool = exactly<const MaxPool2d>(node.module.get());
  return pool != nullptr && pool->settings().kernel == 2 && pool->settings().stride == 2 &&
         pool->settings().padding == 0;
}

bool is_product(const Graph::Node& node) {
  const Module* const module = node.module.get();
  return exactly<const Conv2d>(module) != nullptr || exactly<const Linear>(module) != nullptr;
}

bool does_relu(const Graph::Node& product) {
  const Module* const module = product.module.get();
  const auto* const conv = exactly<const Conv2d>(module);
  return conv != nullptr ? conv->settings().relu : static_cast<const Linear&>(*module).settings().relu;
}

/// The search in progress.
class Search {
 public:
  Search(const Graph& graph, const MayFuse& may_fuse) : graph_(graph), may_fuse_(may_fuse) {
    for (std::size_t i = 1; i < graph.nodes().size(); ++i) {
      uses_[graph.nodes()[i].module.get()].push_back({i});
    }
  }

  std::vector<Fusion> run();

 private:
  using Uses = std::vector<Handle>;
  using IsOfKind = bool (*)(const Graph::Node&);
  /// Of one module at its nodes: how far their fusions reach.
  struct Row {
    const Uses& takers;
    Uses ends;
  };

  const Uses& uses(Handle handle) const { return uses_.at(graph_.node(handle).module.get()); }
  std::optional<Handle> next(Handle taker, Handle end, IsOfKind is_of_kind) const;
  std::optional<Uses> next_of_all(Row& row, IsOfKind is_of_kind) const;
  Handle residual(Handle add, Handle product) const;
  bool is_one_of_their_own(const Uses& batch_norms) const;
  void fuse_product(const Uses& takers, std::vector<Fusion>& fusions) const;
  void fuse_batch_norm(const Uses& takers, std::vector<Fusion>& fusions) const;

  const Graph& graph_;
  const MayFuse& may_fuse_;
  std::map<const Module*, Uses> uses_;
};

/// The node of a kind that alone reads `end` and may be taken in.
std::optional<Handle> Search::next(Handle taker, Handle end, IsOfKind is_of_kind) const {
  const std::optional<Handle> reader = graph_.sole_consumer(end);
  const bool fits = reader && is_of_kind(graph_.node(*reader)) && may_fuse_(graph_.node(taker), graph_.node(*reader));
  return fits ? reader : std::nullopt;
}

/// The same for all nodes of a module; nullopt if one of them has none.
std::optional<Search::Uses> Search::next_of_all(Row& row, IsOfKind is_of_kind) const {
  Uses found;
  for (std::size_t i = 0; i < row.takers.size(); ++i) {
    const std::optional<Handle> reader = next(row.takers[i], row.ends[i], is_of_kind);
    if (!reader) {
      return std::nullopt;
    }
    found.push_back(*reader);
  }
  return found;
}

/// What `add` reads beside `product`; `product` itself if it reads that twice.
Handle Search::residual(Handle add, Handle product) const {
  const std::vector<Handle>& inputs = graph_.node(add).inputs;
  return inputs[0] == product ? inputs[1] : inputs[0];
}

/// Whether they are one module, which stands nowhere else.
bool Search::is_one_of_their_own(const Uses& batch_norms) const {
  const Uses& all = uses(batch_norms[0]);
  return all.size() == batch_norms.size() &&
         std::ranges::all_of(batch_norms, [&](Handle node) { return &uses(node) == &all; });
}

void Search::fuse_product(const Uses& takers, std::vector<Fusion>& fusions) const {
  Row row{takers, takers};
  const auto take = [&](std::optional<Handle> Fusion::*member, const Uses& nodes) {
    for (std::size_t i = 0; i < takers.size(); ++i) {
      fusions[takers[i].index].*member = nodes[i];
    }
    row.ends = nodes;
  };
  const bool is_open = !does_relu(graph_.node(takers[0]));
  if (const auto nodes = is_open ? next_of_all(row, &is_batch_norm) : std::nullopt;
      nodes && is_one_of_their_own(*nodes)) {
    take(&Fusion::batch_norm, *nodes);
  }
  if (const auto nodes = is_open ? next_of_all(row, &is_add) : std::nullopt) {
    Uses residuals;
    bool are_there = true;
    for (std::size_t i = 0; i < takers.size(); ++i) {
      residuals.push_back(residual((*nodes)[i], row.ends[i]));
      are_there = are_there && residuals[i].index < takers[i].index;
    }
    if (are_there) {
      take(&Fusion::residual, residuals);
      take(&Fusion::add, *nodes);
    }
  }
  if (const auto nodes = is_open ? next_of_all(row, &is_relu) : std::nullopt) {
    take(&Fusion::relu, *nodes);
  }
  if (const auto nodes = next_of_all(row, &is_pool_of_2x2)) {
    take(&Fusion::max_pool, *nodes);
  }
}

void Search::fuse_batch_norm(const Uses& takers, std::vector<Fusion>& fusions) const {
  Row row{takers, takers};
  if (const auto relus = next_of_all(row, &is_relu)) {
    for (std::size_t i = 0; i < takers.size(); ++i) {
      fusions[takers[i].index].relu = (*relus)[i];
    }
  }
}

std::vector<Fusion> Search::run() {
  const std::vector<Graph::Node>& nodes = graph_.nodes();
  std::vector<Fusion> fusions(nodes.size());
  std::vector<bool> is_taken(nodes.size(), false);
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    if (is_product(nodes[i]) && nodes[i].owns_module()) {
      fuse_product(uses({i}), fusions);
    }
    for (const std::optional<Handle>& taken : {fusions[i].batch_norm, fusions[i].add}) {
      if (taken) {
        is_taken[taken->index] = true;
      }
    }
  }
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    if (is_taken[i]) {
      continue;
    }
    if (is_add(nodes[i])) {
      fusions[i].relu = next({i}, {i}, &is_relu);
    } else if (is_batch_norm(nodes[i]) && nodes[i].owns_module()) {
      fuse_batch_norm(uses({i}), fusions);
    }
  }
  return fusions;
}

}  // namespace

std::vector<Handle> Fusion::nodes() const {
  std::vector<Handle> nodes;
  for (const std::optional<Handle>& node : {batch_norm, add, relu, max_pool}) {
    if (node) {
      nodes.push_back(*node);
    }
  }
  return nodes;
}

std::vector<Fusion> find_fusions(const Graph& graph, const MayFuse& may_fuse) { return Search(graph, may_fuse).run(); }

bool is_relu(const Module& module) {
  const auto* const activation = exactly<const ActivationLayer>(&module);
  return activation != nullptr && activation->settings().function == kernels::Activation::Relu;
}

}  // namespace detent::nn
