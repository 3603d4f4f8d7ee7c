#pragma once

#include <optional>

#include "detent/quant/kinds/kind.h"

/// What the passes over graphs share.
namespace detent::quant {

/// The module of a node whose kind's row says that its class is M (kind_of checks it).
template <typename M>
M& module_of(const nn::Graph::Node& node) {
  return static_cast<M&>(*node.module);
}

/// A tensor of its own with the same values; undefined stays undefined.
Tensor copy_of(const Tensor& tensor);
/// Copies the tensors of `from` into the slots of `to`, which has the same slots.
void copy_slots(nn::Module& from, nn::Module& to);
/// A module of its own with the same options and copies of the same tensors, made by its row of `kinds`. Throws Error,
/// naming the node, where there is no row, or one of another class.
std::shared_ptr<nn::Module> clone_module(const nn::Graph::Node& node, const Kinds& kinds);

/// What a float conv2d or linear layer owns: weights [O, KH, KW, C / groups] or [O, I], and a bias [O].
struct FloatProduct {
  nn::Parameter* weight;
  nn::Parameter* bias;  ///< value undefined if there is none
  std::int64_t groups;
};
/// nullopt for any other module.
std::optional<FloatProduct> float_product(nn::Module* module);

}  // namespace detent::quant
