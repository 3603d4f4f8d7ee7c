#pragma once

namespace detent::report::html {

/// The page's style sheet: light and dark as the reader's system says, one column on a telephone, plain on paper. Blue
/// and orange are told apart by all who see colours differently, and nothing is said by colour alone.
extern const char* const kStyle;

}  // namespace detent::report::html
