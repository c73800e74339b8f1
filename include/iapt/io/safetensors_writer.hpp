// SPDX-License-Identifier: Apache-2.0
// Writes safetensors files.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "iapt/core/dtype.hpp"
#include "iapt/core/error.hpp"
#include "iapt/core/shape.hpp"
#include "iapt/io/atomic_file.hpp"
#include "iapt/io/stored_tensor.hpp"

namespace iapt {

/// A tensor to write. It refers to its elements, which must outlive it.
struct tensor_to_store {
  std::string name;                  ///< name; not "__metadata__"
  dtype type;                        ///< any type except block types
  std::vector<index_t> shape;        ///< outermost first
  std::span<const std::byte> bytes;  ///< as many bytes as type and shape need
};

/// A tensor to write, from an array of elements.
template <class T>
tensor_to_store to_store(std::string name, std::vector<index_t> shape, std::span<const T> values) {
  return {std::move(name), dtype_of<T>(), std::move(shape), std::as_bytes(values)};
}

/// Writes a file atomically. Equal contents give equal bytes: tensors are ordered by the size of their elements, the
/// largest first (so that each is aligned), then by name.
/// @throws shape_error if a tensor's bytes do not fit its type and shape
/// @throws io_error if a name is not possible, or the system refuses; the old file is then unchanged
inline void write_safetensors(const std::filesystem::path& path, std::vector<tensor_to_store> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  const auto refuse = [&](const tensor_to_store& one, const std::string& reason) {
    throw io_error(path.string() + ": tensor " + in_quotes(one.name) + ": " + reason + "; nothing was written");
  };
  std::sort(tensors.begin(), tensors.end(), [](const tensor_to_store& a, const tensor_to_store& b) {
    const int a_size = layout_of(a.type).bytes, b_size = layout_of(b.type).bytes;
    return a_size != b_size ? a_size > b_size : a.name < b.name;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string_view> names{"__metadata__"};
  std::uint64_t end = 0;
  for (const tensor_to_store& one : tensors) {
    if (layout_of(one.type).elements > 1) refuse(one, "the format has no type " + std::string(name_of(one.type)));
    if (!names.insert(one.name).second) refuse(one, "its name is taken");
    if (stored_size(one.type, one.shape) != one.bytes.size())
      throw shape_error(path.string() + ": tensor " + in_quotes(one.name) + ": " + std::to_string(one.bytes.size()) +
                        " bytes do not fit " + std::string(name_of(one.type)) + " of shape " + to_text(one.shape));
    const std::uint64_t begin = end;
    end += one.bytes.size();
    header[one.name] = {{"dtype", name_of(one.type)}, {"shape", one.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& failure) {
    throw io_error(path.string() + ": a name or metadata text is not UTF-8: " + failure.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // the data begin at a multiple of 8
  const std::uint64_t length = text.size();
  atomic_file file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const tensor_to_store& one : tensors) file.write(one.bytes);
  file.commit();
}

}  // namespace iapt
