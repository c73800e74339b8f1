// SPDX-License-Identifier: Apache-2.0
// Reads safetensors files: a JSON header, then the bytes of the tensors.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/io/byte_reader.hpp"
#include "iapt/io/mapped_file.hpp"
#include "iapt/io/safetensors_header.hpp"
#include "iapt/io/tensor_table.hpp"

namespace iapt {

/// The element type of a name in safetensors; none: not supported.
inline std::optional<dtype> safetensors_type(std::string_view name) {
  for (dtype type : {dtype::f64, dtype::f32, dtype::f16, dtype::bf16, dtype::i64, dtype::i32, dtype::i16, dtype::i8,
                     dtype::u8, dtype::boolean})
    if (name == name_of(type)) return type;
  return {};
}

/// A safetensors file, opened and checked as the format requires: each tensor has as many bytes as its type and shape
/// need, and together they fill the file without gaps or overlaps. Copies of the object use the same memory.
/// @par Source the format's description at github.com/huggingface/safetensors
class safetensors_file {
 public:
  /// Maps or copies a file and reads its header.
  /// @param longest maximum number of bytes of the file
  /// @throws io_error if it is missing, damaged or longer; no more bytes are copied
  static safetensors_file open(const std::filesystem::path& path, file_bytes how = file_bytes::mapped,
                               std::size_t longest = SIZE_MAX) {
    auto file = std::make_shared<const mapped_file>(path, how, longest);
    return safetensors_file(file->bytes(), file->path(), file);
  }
  /// Reads the header of a file in memory, which must outlive all objects that refer to it.
  /// @throws io_error if it is damaged; messages call it `name`
  static safetensors_file parse(std::span<const std::byte> bytes, std::string name) {
    return safetensors_file(bytes, std::move(name), nullptr);
  }

  /// Sizes of a file, from its header.
  struct outline {
    std::uint64_t numbers = 0;  ///< number of elements of all tensors
    std::size_t length = 0;     ///< number of bytes of the file
  };
  /// Reads only the header of a file, which may come from an untrusted source.
  /// @param longest_header maximum number of bytes of the header
  /// @throws io_error if the file is missing, or its header is damaged or too long, or does not fit the file's length
  static outline measure(const std::filesystem::path& path, std::uint64_t longest_header) {
    const mapped_file start(path, file_bytes::copied, length_bytes);
    const std::uint64_t length = header_length(start.bytes(), start.length(), start.path(), longest_header);
    const mapped_file head(path, file_bytes::copied, length_bytes + length);
    const auto header = read_header(head.bytes().subspan(length_bytes), length, head.path());
    std::uint64_t numbers = 0, data = 0;
    for (const safetensors_entry& one : header.tensors) {
      const std::vector<index_t> shape(one.shape.begin(), one.shape.end());  // negative if it does not fit
      const auto count = stored_size(dtype::u8, shape);
      if (!count || *count > INT64_MAX - numbers)
        refuse_file(head.path(), one.position, "tensor " + in_quotes(one.name) + ": its shape is too large");
      numbers += *count;
      data = std::max(data, one.data_offsets[1]);
    }
    if (head.length() - head.bytes().size() != data)
      refuse_file(head.path(), head.bytes().size(),
                  "the header tells of " + std::to_string(data) + " bytes behind it, the file has " +
                      std::to_string(head.length() - head.bytes().size()) + "; was its download cut off?");
    return {numbers, head.length()};
  }

  /// Path or name, for messages.
  const std::string& name() const { return name_; }
  /// All tensors, in the order of their bytes.
  const tensor_table& tensors() const { return tensors_; }
  /// The texts that the writer added, by key.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  safetensors_file(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const mapped_file> owner)
      : name_(std::move(name)) {
    constexpr std::uint64_t longest = 100'000'000;  // limit of the reference implementation
    const std::uint64_t length = header_length(bytes, bytes.size(), name_, longest);
    auto header = read_header(bytes.subspan(length_bytes), length, name_);
    metadata_ = std::move(header.metadata);
    place(std::move(header.tensors), bytes.subspan(length_bytes + length), length_bytes + length, owner);
  }

  static constexpr std::size_t length_bytes = sizeof(std::uint64_t);  // bytes of the length before the header
  static std::uint64_t header_length(std::span<const std::byte> bytes, std::size_t file_length, const std::string& name,
                                     std::uint64_t longest) {
    const auto length = byte_reader(bytes, name).number<std::uint64_t>("length of the header");
    if (const std::size_t rest = file_length - length_bytes; length > rest)
      refuse_file(name, 0,
                  "length of the header says " + std::to_string(length) + ", but only " + std::to_string(rest) +
                      " bytes follow; the file is damaged");
    if (length > longest)
      refuse_file(
          name, 0,
          "the header has " + std::to_string(length) + " bytes, at most " + std::to_string(longest) + " are allowed");
    return length;
  }
  static safetensors_header read_header(std::span<const std::byte> bytes, std::uint64_t length,
                                        const std::string& name) {
    const auto text = byte_reader(bytes, name).take(length, "header");
    return safetensors_events::read({reinterpret_cast<const char*>(text.data()), text.size()}, name, length_bytes);
  }

  void place(std::vector<safetensors_entry> listed, std::span<const std::byte> data, std::uint64_t data_start,
             const std::shared_ptr<const mapped_file>& owner) {
    std::stable_sort(listed.begin(), listed.end(),
                     [](const auto& a, const auto& b) { return a.data_offsets < b.data_offsets; });
    std::uint64_t filled = 0;
    for (safetensors_entry& one : listed) {
      const auto refuse = [&](const std::string& reason) {
        refuse_file(name_, one.position, "tensor " + in_quotes(one.name) + ": " + reason);
      };
      const std::uint64_t begin = one.data_offsets[0], end = one.data_offsets[1];
      if (begin > end || end > data.size())
        refuse("its bytes " + std::to_string(begin) + " to " + std::to_string(end) +
               " are not in the file, which has " + std::to_string(data.size()) +
               " behind the header; was its download cut off?");
      if (begin != filled)
        refuse("its bytes begin at " + std::to_string(begin) + ", the tensor before ends at " + std::to_string(filled) +
               "; there may be neither gap nor overlap");
      filled = end;
      stored_tensor tensor{.name = one.name,
                           .type = safetensors_type(one.type),
                           .type_name = one.type,
                           .file = name_,
                           .offset = data_start + begin,
                           .owner = owner};
      for (std::uint64_t n : one.shape) {
        if (!std::in_range<index_t>(n)) refuse("an extent is " + std::to_string(n));
        tensor.shape.push_back(static_cast<index_t>(n));
      }
      const auto size = stored_size(tensor.type.value_or(dtype::u8), tensor.shape);
      if (!size) refuse("shape " + to_text(tensor.shape) + " is too large");
      if (tensor.type && *size != end - begin)
        refuse("has " + std::to_string(end - begin) + " bytes, but " + tensor.type_name + " of shape " +
               to_text(tensor.shape) + " takes " + std::to_string(*size));
      if (tensor.type) tensor.bytes = data.subspan(begin, end - begin);
      tensors_.add(std::move(tensor));  // read_header has refused equal names
    }
    if (filled != data.size())
      refuse_file(name_, data_start + filled, std::to_string(data.size() - filled) + " bytes belong to no tensor");
  }

  std::string name_;
  std::map<std::string, std::string> metadata_;
  tensor_table tensors_;
};

}  // namespace iapt
