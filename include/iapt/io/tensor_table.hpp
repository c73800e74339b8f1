// SPDX-License-Identifier: Apache-2.0
// The tensors of a file, in order and by name.
#pragma once
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/io/stored_tensor.hpp"

namespace iapt {

/// A list of tensors with different names. (It uses a tree, not hashing: an untrusted file could choose names that
/// collide.)
class tensor_table {
 public:
  /// Appends a tensor.
  /// @return false if there is such a name already; then nothing is changed
  bool add(stored_tensor tensor) {
    if (!positions_.emplace(tensor.name, tensors_.size()).second) return false;
    tensors_.push_back(std::move(tensor));
    return true;
  }
  /// All tensors, in the order in which they were added.
  const std::vector<stored_tensor>& all() const { return tensors_; }
  /// A tensor by its name, or null.
  const stored_tensor* find(std::string_view name) const {
    const auto found = positions_.find(name);
    return found == positions_.end() ? nullptr : &tensors_[found->second];
  }
  /// A name in the table with the longest common beginning; empty if the table is empty.
  std::string_view nearest(std::string_view name) const {
    const auto agreement = [&](std::string_view other) {
      std::size_t n = 0;
      while (n < name.size() && n < other.size() && name[n] == other[n]) ++n;
      return n;
    };
    const auto after = positions_.lower_bound(name);
    std::string_view best = after == positions_.end() ? std::string_view() : after->first;
    if (after != positions_.begin())
      if (const std::string_view before = std::prev(after)->first; best.empty() || agreement(before) > agreement(best))
        best = before;
    return best;
  }

 private:
  std::vector<stored_tensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> positions_;
};

}  // namespace iapt
