// SPDX-License-Identifier: Apache-2.0
// The low-rank products of many methods in one step.  Shapes: N tokens.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "iapt/serve/any_method.hpp"

namespace iapt {

/// The low-rank maps of several methods at all target modules. BGMV computes the products for a module in two kernels,
/// for any number of methods.
template <class T, class Backend>
class lora_batch {
 public:
  using matrix = tensor<T, 2, Backend>;              ///< a row for each token
  using method_type = const any_method<T, Backend>;  ///< null: adds nothing

  /// @param layers number of layers
  /// @param methods the methods; null: adds nothing
  /// @param which index of the method of each token of the batch
  lora_batch(Backend& backend, int layers, const std::vector<method_type*>& methods,
             const std::vector<std::int32_t>& which)
      : methods_(index_t(methods.size())), which_(from_host(backend, extents<1>{index_t(which.size())}, which)) {
    std::vector<map_type> maps;
    for (int l = 0; l < layers; ++l)
      for (std::size_t part = 0; part < projection_names.size(); ++part) {
        entry& here = modules_.emplace_back();
        for (method_type* method : methods) {
          maps.push_back(method ? method->low_rank({l, projection(part)}) : map_type());
          if (!maps.back().rank) continue;
          if (!here.max_rank) here.in = maps.back().in, here.out = maps.back().out;
          here.alike = here.alike && here.in == maps.back().in && here.out == maps.back().out;
          here.max_rank = std::max(here.max_rank, maps.back().rank);
        }
      }
    maps_ = std::make_shared<buffer<map_type, Backend>>(backend, index_t(maps.size()));
    backend.upload(maps_->write(), maps.data(), maps_->size());
  }
  /// The sum that is added for a target module.   x (N, in) -> (N, out), or an empty handle
  /// @throws shape_error if a method's factors are of another model's sizes
  matrix delta(target_module where, const matrix& x) const {
    const std::size_t index = std::size_t(where.layer) * projection_names.size() + std::size_t(where.part);
    const entry& here = modules_[index];
    if (!here.max_rank) return {};
    if (!here.alike || here.in != x.size(1))
      throw shape_error("an adapter's matrices for " + name_of(where) + " do not fit the model's rows, " +
                        to_text(x.shape()));
    return bgmv(x.backend(), x, {maps_->data() + index_t(index) * methods_, which_.data(), here.max_rank}, here.out);
  }

 private:
  using map_type = low_rank_map<compute_type<T>>;
  struct entry {
    index_t max_rank = 0, in = 0, out = 0;
    bool alike = true;  // whether all maps are of these sizes
  };
  index_t methods_;
  tensor<std::int32_t, 1, Backend> which_;
  std::vector<entry> modules_;
  std::shared_ptr<buffer<map_type, Backend>> maps_;  // by target module, then by method
};

}  // namespace iapt
