#include "detent/interchange/weights/name_map.h"

#include "detent/core/text/list_text.h"
#include "detent/data/files.h"
#include "detent/data/formats/limits.h"
#include "detent/io/description.h"
#include "detent/io/option_reader.h"

namespace detent::interchange {

NameMap::NameMap(const std::filesystem::path& file) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 26;
  const std::vector<std::byte> bytes = data::ByteReader(file).read_up_to(kLargest);
  const nlohmann::json names =
      parse_description(file.string(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  check(names.is_object(), file.string(), ": expected an object of names, {\"conv1\": \"features.0\"}, got ",
        in_message(names));
  for (const auto& [own, other] : names.items()) {
    check(other.is_string(), file.string(), ": \"", own, "\": expected a name, got ", in_message(other));
    add(own, other.get<std::string>());
  }
}

void NameMap::add(const std::string& own, const std::string& other) {
  check(!own.empty() && !other.empty(), "names: expected two names, got \"", own, "\" and \"", other, '"');
  names_[own] = other;
}

std::string NameMap::match(const std::string& own) const {
  for (std::size_t end = own.size(); end != std::string::npos && end > 0; end = own.rfind('.', end - 1)) {
    if (names_.contains(own.substr(0, end))) {
      return own.substr(0, end);
    }
  }
  return "";
}

std::string NameMap::other_name(const std::string& own) const {
  const std::string fitting = match(own);
  return fitting.empty() ? own : names_.at(fitting) + own.substr(fitting.size());
}

void NameMap::check_used(const std::vector<std::string>& tensors) const {
  std::set<std::string> unused;
  for (const auto& [own, other] : names_) {
    unused.insert(own);
  }
  for (const std::string& tensor : tensors) {
    unused.erase(match(tensor));
  }
  check(unused.empty(), "names: of no tensor or node of the model: ", comma_separated(unused));
}

}  // namespace detent::interchange
