#pragma once

#include <string>

namespace detent::nn {

/// The reference of the kinds of modules of this folder, in Markdown: a section a kind, with the table of its options,
/// made from what each says of them itself.
std::string modules_reference();

}  // namespace detent::nn
