#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

/// A bounded memory of what is expensive to make.
namespace detent::kernels {

/// Keeps at most `most` values; beyond, the one that was asked for longest ago is dropped. Who holds a value keeps it.
/// Any number of threads may ask at once; a look-up takes a shared lock and allocates nothing.
template <typename Key, typename Value, typename Hash = std::hash<Key>>
class PlanCache {
 public:
  explicit PlanCache(std::size_t most) : most_(most) {}

  /// The value of `key`, made by `make` if it is not there. Two threads may make one at the same time; both get the
  /// first.
  template <typename Make>
  std::shared_ptr<const Value> get(const Key& key, Make&& make) {
    {
      std::shared_lock lock(mutex_);
      if (const auto found = entries_.find(key); found != entries_.end()) {
        found->second.asked = ++clock_;
        return found->second.value;
      }
    }
    auto value = std::make_shared<const Value>(make());
    std::unique_lock lock(mutex_);
    Entry& entry = entries_[key];
    entry.value = entry.value ? entry.value : std::move(value);
    entry.asked = ++clock_;
    const std::shared_ptr<const Value> result = entry.value;
    if (entries_.size() > most_) {
      entries_.erase(
          std::ranges::min_element(entries_, {}, [](const auto& of_key) { return of_key.second.asked.load(); }));
    }
    return result;
  }

  std::size_t size() const {
    std::shared_lock lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    std::shared_ptr<const Value> value;
    std::atomic<std::uint64_t> asked = 0;  // when, by the clock
  };
  std::size_t most_;
  std::atomic<std::uint64_t> clock_ = 0;
  mutable std::shared_mutex mutex_;
  std::unordered_map<Key, Entry, Hash> entries_;
};

}  // namespace detent::kernels
