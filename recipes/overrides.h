#pragma once

#include <toml++/toml.h>
#include <string>
#include <vector>

namespace detent::recipes {

/// Sets in `root` what each of `overrides`, "section.key=value", says, making tables on the way. The value is TOML, or
/// else a bare word that is taken as a string: data.name=digits. Throws Error for a text of another form.
void apply_overrides(toml::table& root, const std::vector<std::string>& overrides);

}  // namespace detent::recipes
