#pragma once

#include <map>
#include <string>

#include "detent/interchange/onnx/in/builder.h"

namespace detent::onnx {

/// Imports a node. Throws Error for what is not imported, with what it would take.
using Operation = void (*)(Builder& builder, const Node& node);
/// By operation, with its domain where it has one: "Conv", "ai.onnx.ml.Scaler". One row an operation.
using Operations = std::map<std::string, Operation, std::less<>>;
const Operations& operations();
/// "Conv", as the table has it.
std::string key_of(const Node& node);

/// The families, each in the file of its name.
void add_products(Operations& table);
void add_norms(Operations& table);
void add_pools(Operations& table);
void add_shapes(Operations& table);
void add_constants(Operations& table);
void add_functions(Operations& table);

/// y = a x + b with a number each for every channel, as the node's output: a batch norm with constants for statistics.
/// `a` and `b` are in the order of the format.
void give_affine(Builder& builder, const Node& node, std::size_t input, std::vector<float> a, std::vector<float> b);
/// Numbers a channel, or one for all, from a constant that is broadcast to `value`; nullopt if it is none of these.
std::optional<std::vector<float>> per_channel(const Array& array, const Value& value);
/// The channels that a value has: its last axis in the graph.
std::int64_t channels_of(const Value& value);

/// The module that computes a function of a value of so many channels, given by the results at function_points();
/// nullopt: none does. Null: y = x.
std::optional<std::shared_ptr<nn::Module>> module_of_function(std::span<const double> values, std::int64_t channels);
std::span<const double> function_points();

/// What Shape, Gather, Reshape and the like make of constants. Each gives the node's output if its inputs are
/// constants, and says whether it did.
bool give_folded(Builder& builder, const Node& node);

/// A value under other extents of one example, with as many elements.
void give_reshaped(Builder& builder, const Node& node, const Dims& dims);

}  // namespace detent::onnx
