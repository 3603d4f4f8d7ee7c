// The keys of [data] that have more than one form.
#include "detent/recipes/sections.h"

namespace detent::recipes {
namespace {

constexpr std::int64_t kLargestSide = 8192;

// A column, by name or number, as text.
std::optional<std::string> column_in(const toml::node& node) {
  if (const auto number = node.value_exact<std::int64_t>()) {
    return std::to_string(*number);
  }
  const auto name = node.value_exact<std::string>();
  return name && !name->empty() ? name : std::nullopt;
}

bool is_side(std::optional<std::int64_t> side) { return side && *side >= 1 && *side <= kLargestSide; }

}  // namespace

void read_label(SectionReader& in, std::vector<std::string>& label) {
  const toml::node* const node = in.find("label");
  if (node == nullptr) {
    return;
  }
  label.clear();
  const auto add = [&](const toml::node& element) {
    const auto column = column_in(element);
    if (!column) {
      in.fail_expected("label", element, "a column's name or number, or a list of them",
                       "\"species\", or -1 for the last");
    }
    if (std::ranges::count(label, *column) > 0) {
      in.fail_key("label", element, "'" + *column + "' stands twice; remove one");
    }
    label.push_back(*column);
  };
  if (!node->is_array()) {
    add(*node);
    return;
  }
  for (const toml::node& element : *node->as_array()) {
    add(element);
  }
}

void read_task(SectionReader& in, std::optional<data::TargetKind>& task) {
  static const Names<data::TargetKind> kTasks{{"classes", data::TargetKind::kClasses},
                                              {"values", data::TargetKind::kValues},
                                              {"flags", data::TargetKind::kFlags}};
  if (in.find("task") != nullptr) {
    in.choice("task", task.emplace(), kTasks);
  }
}

void read_image_size(SectionReader& in, data::ReadOptions& read) {
  const toml::node* const node = in.find("image_size");
  if (node == nullptr) {
    return;
  }
  std::optional<std::int64_t> height = node->value_exact<std::int64_t>(), width = height;
  if (const toml::array* const sides = node->as_array(); sides != nullptr && sides->size() == 2) {
    height = sides->get(0)->value_exact<std::int64_t>();
    width = sides->get(1)->value_exact<std::int64_t>();
  }
  if (!is_side(height) || !is_side(width)) {
    in.fail_expected("image_size", *node, "[height, width], each from 1 to 8192", "[28, 28]");
  }
  read.height = *height;
  read.width = *width;
}

void read_channels(SectionReader& in, std::int64_t& channels) {
  if (const toml::node* const node = in.find("channels")) {
    const auto read = node->value_exact<std::int64_t>();
    if (read != 1 && read != 3) {
      in.fail_expected("channels", *node, "1 (grey) or 3 (colour)", "1");
    }
    channels = *read;
  }
}

}  // namespace detent::recipes
