// SPDX-License-Identifier: Apache-2.0
// Reader of GGUF files, versions 2 and 3: metadata and tensors of a model in one file.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "iapt/io/byte_reader.hpp"
#include "iapt/io/gguf_split.hpp"
#include "iapt/io/gguf_value.hpp"
#include "iapt/io/mapped_file.hpp"
#include "iapt/io/tensor_table.hpp"

namespace iapt {

/// The tensor type of an id in GGUF: ggml's name, and our element type if it is supported.
/// @par Source ggml, which defines the ids
inline std::pair<std::string, std::optional<dtype>> gguf_type_of(std::uint32_t id) {
  struct plain {
    std::uint32_t id;
    dtype type;
  };
  constexpr plain types[] = {{0, dtype::f32},  {24, dtype::i8},  {25, dtype::i16},
                             {26, dtype::i32}, {27, dtype::i64}, {28, dtype::f64}};
  struct unsupported {
    std::uint32_t id;
    const char* name;
  };
  constexpr unsupported others[] = {{15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"},
                                    {19, "IQ1_S"}, {21, "IQ3_S"},   {22, "IQ2_S"},  {29, "IQ1_M"}};
  std::pair<std::string, std::optional<dtype>> found{"number " + std::to_string(id), {}};
  for (const auto& [other, name] : others)
    if (other == id) found.first = name;
  for (const auto& [other, type] : types)
    if (other == id) found = {std::string(name_of(type)), type};
  quantized_formats::each([&](auto format) {
    if (format.gguf_id == id) found = {format.name, format.type};
  });
  return found;
}

/// A GGUF file, or a model that is split into several, opened and checked. Tensors of unsupported types are listed, and
/// refused only when they are read. Copies have the same mappings.
class gguf_file {
 public:
  /// A metadata key and its value.
  using entry = std::pair<std::string_view, gguf_value>;

  /// Maps a file and reads its tables. If a model is split into several files, it opens the first: it gives the
  /// metadata, and the tensors of all parts, which must be in the same folder.
  /// @throws io_error if a file is missing or damaged, if the parts do not belong together, or `path` is not the first
  /// part
  static gguf_file open(const std::filesystem::path& path) {
    gguf_file first = open_one(path);
    if (const auto count = first.get_or<std::uint16_t>("split.count", 1); count > 1) first.add_other_parts(path, count);
    return first;
  }
  /// Reads the tables of a file in memory, which must outlive all objects that refer to it.
  /// @throws io_error if it is damaged; messages call it `name`
  static gguf_file parse(std::span<const std::byte> bytes, std::string name) {
    return gguf_file(bytes, std::move(name), nullptr);
  }

  /// Path or name, for messages.
  const std::string& name() const { return name_; }
  /// Version of the format, 2 or 3.
  std::uint32_t version() const { return version_; }
  /// All metadata, in the file's order.
  const std::vector<entry>& metadata() const { return metadata_; }
  /// All tensors, in the file's order.
  const tensor_table& tensors() const { return tensors_; }

  /// A metadata value, or null if there is none.
  const gguf_value* find(std::string_view key) const {
    const auto found = positions_.find(key);
    return found == positions_.end() ? nullptr : &metadata_[found->second].second;
  }
  /// A metadata value as T; see `gguf_value::as` for the possible types. Views refer to the mapping.
  /// @throws io_error if there is no such key, or the value is of another kind
  template <class T>
  T get(std::string_view key) const {
    const gguf_value* value = find(key);
    if (!value)
      throw io_error(name_ + ": metadata has no " + in_quotes(key) + ", expected " + gguf_expectation<T>() +
                     "; is this a model of a supported family?");
    return decode<T>(key, *value);
  }
  /// The same, or a default if the key is missing.
  /// @throws io_error if it is of another kind
  template <class T>
  T get_or(std::string_view key, T otherwise) const {
    const gguf_value* value = find(key);
    return value ? decode<T>(key, *value) : otherwise;
  }

 private:
  gguf_file(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const mapped_file> owner)
      : bytes_(bytes), name_(std::move(name)), owner_(std::move(owner)) {
    byte_reader reader(bytes_, name_);
    read_start(reader);
    const std::uint64_t tensors = reader.count(least_tensor, "number of tensors");
    const std::uint64_t values = reader.count(least_metadata, "number of metadata values");
    for (std::uint64_t i = 0; i < values; ++i) read_metadata(reader);
    std::vector<stored_tensor> listed;
    for (std::uint64_t i = 0; i < tensors; ++i) listed.push_back(read_tensor(reader));
    place(std::move(listed), reader.offset());
  }

  static gguf_file open_one(const std::filesystem::path& path) {
    auto file = std::make_shared<const mapped_file>(path);
    return gguf_file(file->bytes(), file->path(), file);
  }
  [[noreturn]] void refuse_split(const std::string& key, const std::string& reason) const {
    const gguf_value* value = find(key);
    refuse_file(name_, value ? value->offset : 0, key + ": " + reason);
  }
  // Adds the tensors of parts 2 to count; each keeps its part mapped.
  void add_other_parts(const std::filesystem::path& path, unsigned count) {
    const std::string of = " of the " + std::to_string(count) + " parts of a model";
    if (const unsigned number = get<std::uint16_t>("split.no") + 1u; number != 1) {
      const auto first = gguf_part_path(path, number, count, 1);
      refuse_split("split.no", "this is number " + std::to_string(number) + of + "; open the first" +
                                   (first ? ", " + in_quotes(first->string()) : ""));
    }
    for (unsigned number = 2; number <= count; ++number) {
      const auto place = gguf_part_path(path, 1, count, number);
      if (!place)
        refuse_split("split.count", "this is the first" + of + ", so its name must end in \"" +
                                        gguf_part_ending(1, count) + "\"; give all parts their names again");
      if (!std::filesystem::exists(*place))
        throw io_error(place->string() + ": is missing: number " + std::to_string(number) + of + "; put it beside " +
                       in_quotes(name_));
      const gguf_file part = open_one(*place);
      for (const auto& [key, expected] :
           {std::pair("split.count", index_t(count)), std::pair("split.no", index_t(number) - 1),
            std::pair("split.tensors.count", get<index_t>("split.tensors.count"))})
        if (const auto found = part.get<index_t>(key); found != expected)
          part.refuse_split(key, "is " + std::to_string(found) + ", expected " + std::to_string(expected) +
                                     "; this file does not belong to " + in_quotes(name_));
      for (const stored_tensor& tensor : part.tensors_.all())
        if (!tensors_.add(tensor))
          throw io_error(part.name_ + ": the tensor " + in_quotes(tensor.name) + " is in another part, too");
    }
    if (const auto expected = get<index_t>("split.tensors.count"); index_t(tensors_.all().size()) != expected)
      refuse_split("split.tensors.count", "is " + std::to_string(expected) + ", but the parts have " +
                                              std::to_string(tensors_.all().size()) + " tensors together");
  }

  static constexpr std::uint64_t least_metadata = 8 + 4 + 1;    // bytes of a key's length, type, and one byte
  static constexpr std::uint64_t least_tensor = 8 + 4 + 4 + 8;  // bytes of a name's length, rank, type, offset

  void read_start(byte_reader& reader) {
    if (reader.remaining() < 4 || reader.number<std::uint32_t>("magic") != 0x46554747)  // "GGUF"
      refuse_file(name_, 0, "this is not a GGUF file: it does not begin with \"GGUF\"");
    version_ = reader.number<std::uint32_t>("version");
    if (version_ == 2 || version_ == 3) return;
    refuse_file(name_, 4,
                (version_ & 0xffff) == 0
                    ? std::string("the file is big-endian, which is not supported")
                    : "GGUF version " + std::to_string(version_) + " is not supported, only 2 and 3");
  }

  void read_metadata(byte_reader& reader) {
    const std::uint64_t start = reader.offset();
    const std::string_view key = reader.text("metadata key");
    if (!positions_.emplace(key, metadata_.size()).second)
      refuse_file(name_, start, "the metadata key " + in_quotes(key) + " comes twice");
    metadata_.emplace_back(key, read_gguf_value(reader, bytes_));
  }

  stored_tensor read_tensor(byte_reader& reader) const {
    const std::uint64_t start = reader.offset();
    stored_tensor tensor{.name = std::string(reader.text("name of tensor")), .file = name_, .owner = owner_};
    const auto refuse = [&](const std::string& reason) {
      refuse_file(name_, start, "tensor " + in_quotes(tensor.name) + ": " + reason);
    };
    const auto rank = reader.number<std::uint32_t>("rank of tensor");
    if (rank > 4) refuse("has " + std::to_string(rank) + " extents, GGUF allows 4");
    tensor.shape.resize(rank);
    for (std::uint32_t axis = rank; axis-- > 0;) {  // the file has the innermost extent first
      const auto size = reader.number<std::uint64_t>("extent of tensor");
      if (!std::in_range<index_t>(size)) refuse("an extent is " + std::to_string(size));
      tensor.shape[axis] = static_cast<index_t>(size);
    }
    std::tie(tensor.type_name, tensor.type) = gguf_type_of(reader.number<std::uint32_t>("type of tensor"));
    if (!stored_size(tensor.type.value_or(dtype::u8), tensor.shape))
      refuse("shape " + to_text(tensor.shape) + " is not possible for type " + tensor.type_name);
    tensor.offset = reader.number<std::uint64_t>("offset of tensor");  // from the start of the data, after the header
    return tensor;
  }

  /// Finds the bytes of the tensors. Their offsets begin at the end of the tables, rounded up.
  void place(std::vector<stored_tensor> listed, std::uint64_t end_of_tables) {
    const auto alignment = get_or<std::uint32_t>("general.alignment", 32);
    if (!std::has_single_bit(alignment))
      refuse_file(name_, find("general.alignment")->offset,
                  "general.alignment is " + std::to_string(alignment) + ", expected a power of two");
    const std::uint64_t data = (end_of_tables + alignment - 1) / alignment * alignment;
    for (stored_tensor& tensor : listed) {
      const auto refuse = [&](const std::string& reason) {
        refuse_file(name_, end_of_tables, "tensor " + in_quotes(tensor.name) + ": " + reason);
      };
      if (tensor.offset % alignment != 0)
        refuse("offset " + std::to_string(tensor.offset) + " is not a multiple of " + std::to_string(alignment));
      const std::uint64_t size = tensor.type ? *stored_size(*tensor.type, tensor.shape) : 0;
      if (data > bytes_.size() ? size > 0 || tensor.offset > 0
                               : tensor.offset > bytes_.size() - data || size > bytes_.size() - data - tensor.offset)
        refuse("its " + std::to_string(size) + " bytes at " + std::to_string(tensor.offset) + " behind byte " +
               std::to_string(data) + " are not all in the file, which has " + std::to_string(bytes_.size()) +
               "; was its download cut off?");
      tensor.offset += data;
      if (size > 0) tensor.bytes = bytes_.subspan(tensor.offset, size);
      if (const std::string name = tensor.name; !tensors_.add(std::move(tensor)))
        refuse_file(name_, end_of_tables, "the tensor name " + in_quotes(name) + " comes twice");
    }
  }

  template <class T>
  T decode(std::string_view key, const gguf_value& value) const {
    if (auto decoded = value.as<T>()) return *std::move(decoded);
    const auto number = value.as<std::int64_t>();
    refuse_file(name_, value.offset,
                "metadata " + in_quotes(key) + ": expected " + gguf_expectation<T>() + ", found " + value.type_text() +
                    (number ? " " + std::to_string(*number) : ""));
  }

  std::span<const std::byte> bytes_;
  std::string name_;
  std::shared_ptr<const mapped_file> owner_;
  std::uint32_t version_ = 0;
  std::vector<entry> metadata_;
  std::map<std::string_view, std::size_t, std::less<>> positions_;
  tensor_table tensors_;
};

}  // namespace iapt
