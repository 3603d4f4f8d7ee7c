#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "detent/io/tensor_file.h"

/// How the content of a file goes from the process that reads it to the one that wants it: frames, each a byte that
/// says what follows, and numbers of 64 bits as the machine has them. Private to io.
///
///   'a'  an attribute: name, then 's' text, 'i' integer or 'r' real
///   't'  a tensor: name, element type, whether it was an enumeration, rank, extents, elements
///   'x'  texts: name, their number, each
///   'e'  the text of an Error, instead of all that would follow
///   '.'  the end
///
/// Texts are their length and their bytes.
namespace detent::hdf5 {

using Send = std::function<void(std::span<const std::byte>)>;
/// Fills all of the span, or throws.
using Receive = std::function<void(std::span<std::byte>)>;

/// Sends all but `source`; gives memory back as it goes.
void send_content(TensorFile content, const Send& send);
void send_error(const std::string& text, const Send& send);

/// What was sent. Throws Error with the text of one that was sent. What comes is not believed: sizes are checked, and
/// memory for it is used as it comes. Throws Error, which begins with `where`, for what is malformed, and whatever
/// `receive` throws.
TensorFile receive_content(const std::string& where, const Receive& receive);

}  // namespace detent::hdf5
