#pragma once

#include "detent/interchange/c/program.h"

/// Which nodes have a C form, and of what kind.
namespace detent::interchange::c {

/// Throws Error, which names all nodes that have none and what they would take.
void check_supported(const runtime::Model& model, Requantize requantize);

/// Whether a node's output is the codes of an input's numbers, which are made before the layers run.
bool is_entry(const runtime::Model& model, const runtime::Node& node);

/// What stands for one output that sees one channel, without a scale a group: it has a loop of its own.
bool is_depthwise(const runtime::Product& product);
/// Whether every pixel is multiplied by itself, as in a linear layer.
bool is_by_pixel(const kernels::ConvShape& shape);
/// Whether a product rounds the numbers that it takes to bf16.
bool takes_bf16(const runtime::Op& op);
/// Bytes that a node needs beside its inputs and its output: what one output pixel sees, and codes or
/// rounded numbers that it makes of all.
std::int64_t scratch_bytes(const runtime::Model& model, const runtime::Node& node);

/// How the model's results in C stand to Detent's.
Agreement agreement_of(const runtime::Model& model);

}  // namespace detent::interchange::c
