// SPDX-License-Identifier: Apache-2.0
// Writes and reads tensors by name, between a backend and a safetensors file.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "iapt/core/tensor.hpp"
#include "iapt/io/safetensors.hpp"
#include "iapt/io/safetensors_writer.hpp"

namespace iapt {

/// Collects tensors and writes them to one file.
template <class T>
class tensor_file_writer {
 public:
  /// Adds a tensor from elements on the host.
  void add(std::string name, std::vector<index_t> shape, std::vector<T> values) {
    kept_.push_back(std::move(values));
    tensors_.push_back(to_store<T>(std::move(name), std::move(shape), kept_.back()));
  }
  /// Adds a tensor from a backend.
  template <int Rank, class Backend>
  void add(std::string name, const tensor<T, Rank, Backend>& x) {
    add(std::move(name), {x.shape().begin(), x.shape().end()}, to_host(x));
  }
  /// Writes the file atomically.
  /// @throws io_error if the system refuses
  void write(const std::filesystem::path& path, const std::map<std::string, std::string>& metadata = {}) const {
    write_safetensors(path, tensors_, metadata);
  }

 private:
  std::vector<std::vector<T>> kept_;  // moving a vector does not move its elements
  std::vector<tensor_to_store> tensors_;
};

/// The elements of a stored tensor of the expected shape.
/// @throws io_error if it is missing, has another shape or cannot be decoded
template <class T>
std::vector<T> read_stored(const safetensors_file& file, const std::string& name, const std::vector<index_t>& shape) {
  const stored_tensor* stored = file.tensors().find(name);
  if (!stored) throw io_error(file.name() + ": there is no tensor \"" + name + "\"");
  if (stored->shape != shape)
    refuse_tensor(*stored, "has shape " + to_text(stored->shape) + ", expected " + to_text(shape));
  std::vector<T> values(stored->size());
  read_into<T>(*stored, values);
  return values;
}

}  // namespace iapt
