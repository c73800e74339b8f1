// SPDX-License-Identifier: Apache-2.0
// The tensors of a model by name, from a GGUF file, a safetensors file, or a Hugging Face folder.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/core/shape.hpp"
#include "iapt/io/gguf.hpp"
#include "iapt/io/mapped_file.hpp"
#include "iapt/io/safetensors.hpp"
#include "iapt/io/tensor_table.hpp"
#include "iapt/text/json.hpp"

namespace iapt {

/// Reads which shard file has which tensor from `model.safetensors.index.json`: tensor name to file name.
/// @param text text of the index
/// @param file name of the index, for messages
/// @throws io_error if it is damaged, or a shard is not a plain file name (so that nothing outside the folder is read)
inline std::map<std::string, std::string> parse_shard_index(std::string_view text, const std::string& file) {
  const nlohmann::json index = parse_json(text, file, "the index");
  std::map<std::string, std::string> shards;
  try {
    for (const auto& [name, shard] : index.at("weight_map").items()) {
      const auto& target = shard.get_ref<const std::string&>();
      if (target.empty() || target == "." || target == ".." ||
          target.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
        throw io_error(file + ": tensor " + in_quotes(name) + ": the shard " + in_quotes(target) +
                       " is not a plain file name; shards must lie beside the index");
      shards.emplace(name, target);
    }
  } catch (const nlohmann::json::exception& failure) {
    throw io_error(file + ": expected \"weight_map\", an object of tensor and file names: " + failure.what());
  }
  return shards;
}

/// The stored tensors of a model. It keeps the files mapped, and so does each tensor. Names are those of the format:
/// "blk.0.attn_q.weight" in GGUF, "model.layers.0.self_attn.q_proj.weight" in a Hugging Face folder. (The formats
/// differ not only in names: GGUF files of the Llama family have another order of rows in query and key projections.)
class weights {
 public:
  /// Opens a `.gguf` or `.safetensors` file (recognised by its first bytes), or a folder with `model.safetensors` or
  /// `model.safetensors.index.json`.
  /// @throws io_error if anything is missing or damaged
  static weights open(const std::filesystem::path& path) {
    if (std::filesystem::is_directory(path)) return open_folder(path);
    const mapped_file file(path);
    const bool is_gguf = file.bytes().size() >= 4 && std::memcmp(file.bytes().data(), "GGUF", 4) == 0;
    return is_gguf ? weights(gguf_file::open(path)) : weights(safetensors_file::open(path));
  }
  /// The tensors of an open GGUF file.
  explicit weights(const gguf_file& file) : place_(file.name()), tensors_(file.tensors()) {}
  /// The tensors of an open safetensors file.
  explicit weights(const safetensors_file& file) : place_(file.name()), tensors_(file.tensors()) {}

  /// File or folder of the model, for messages.
  const std::string& place() const { return place_; }
  /// All tensors.
  const std::vector<stored_tensor>& all() const { return tensors_.all(); }
  /// The names of all tensors.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const stored_tensor& tensor : all()) names.push_back(tensor.name);
    return names;
  }
  /// A tensor by its name, or null.
  const stored_tensor* find(std::string_view name) const { return tensors_.find(name); }
  /// A tensor of any shape.
  /// @throws io_error if there is no such tensor
  const stored_tensor& at(std::string_view name) const {
    if (const stored_tensor* tensor = find(name)) return *tensor;
    throw io_error(place_ + ": there is no tensor " + in_quotes(name) + " among its " + std::to_string(all().size()) +
                   (all().empty() ? "" : "; the nearest is " + in_quotes(tensors_.nearest(name))));
  }
  /// A tensor of the expected shape, outermost extent first.
  /// @throws io_error if there is no such tensor, or it has another shape
  template <std::size_t Rank>
  const stored_tensor& at(std::string_view name, const std::array<index_t, Rank>& shape) const {
    const stored_tensor& tensor = at(name);
    if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()))
      refuse_tensor(tensor, "has shape " + to_text(tensor.shape) + ", expected " + to_text(shape) +
                                "; do configuration and weights belong together?");
    return tensor;
  }

 private:
  weights(std::string place, tensor_table tensors) : place_(std::move(place)), tensors_(std::move(tensors)) {}

  static weights open_folder(const std::filesystem::path& folder) {
    const auto single = folder / "model.safetensors", sharded = folder / "model.safetensors.index.json";
    if (std::filesystem::exists(single)) return weights(safetensors_file::open(single));
    if (!std::filesystem::exists(sharded))
      throw io_error(folder.string() + ": has neither model.safetensors nor model.safetensors.index.json");
    const mapped_file index(sharded);
    const auto text = index.bytes();
    std::map<std::string, safetensors_file> shards;
    tensor_table tensors;
    for (const auto& [name, shard] :
         parse_shard_index({reinterpret_cast<const char*>(text.data()), text.size()}, index.path())) {
      if (!shards.contains(shard)) shards.emplace(shard, safetensors_file::open(folder / shard));
      const stored_tensor* tensor = shards.at(shard).tensors().find(name);
      if (!tensor)
        throw io_error(index.path() + ": tensor " + in_quotes(name) + " is not in " + in_quotes(shard) +
                       ", as the index says");
      tensors.add(*tensor);
    }
    return weights(folder.string(), std::move(tensors));
  }

  std::string place_;
  tensor_table tensors_;
};

}  // namespace iapt
