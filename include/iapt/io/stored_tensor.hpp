// SPDX-License-Identifier: Apache-2.0
// A tensor in a file of any format, and how to read its elements as float or double.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "iapt/core/dtype.hpp"
#include "iapt/core/error.hpp"
#include "iapt/core/quantized.hpp"
#include "iapt/core/shape.hpp"
#include "iapt/io/failure.hpp"

namespace iapt {

class mapped_file;

/// A tensor in a file. The readers have checked that its bytes are in the file, and as many as type and shape need.
struct stored_tensor {
  std::string name;                               ///< name in the file
  std::optional<dtype> type = {};                 ///< encoding of its elements; empty: not supported
  std::string type_name = {};                     ///< name of the type in the file's format
  std::vector<index_t> shape = {};                ///< outermost first, in every format
  std::span<const std::byte> bytes = {};          ///< encoded elements; empty if the type is not supported
  std::string file = {};                          ///< path of the file, for messages
  std::uint64_t offset = 0;                       ///< offset of its bytes in the file
  std::shared_ptr<const mapped_file> owner = {};  ///< keeps the bytes in memory; null if another object does

  /// Number of elements; 1 for rank 0.
  index_t size() const { return row_size() * rows(); }
  /// Number of rows, the slices along the outermost extent; 1 for rank 0.
  index_t rows() const { return shape.empty() ? 1 : shape[0]; }
  /// Number of elements of a row.
  index_t row_size() const {
    index_t product = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) product *= shape[i];
    return product;
  }
};

/// Number of bytes of a tensor of the given type and extents.
/// @return none if an extent is negative, the number does not fit, or a row is not a whole number of blocks
inline std::optional<std::uint64_t> stored_size(dtype type, std::span<const index_t> shape) {
  const block_layout layout = layout_of(type);
  if (layout.elements > 1 && (shape.empty() || shape.back() % layout.elements != 0)) return {};
  index_t elements = 1, bytes = 0;
  for (index_t n : shape)  // ignores zeros, so that the others must fit in any case
    if (n < 0 || (n > 0 && __builtin_mul_overflow(elements, n, &elements))) return {};
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  if (__builtin_mul_overflow(elements / layout.elements, index_t(layout.bytes), &bytes)) return {};
  return static_cast<std::uint64_t>(bytes);
}

/// The element type with the memory layout of T.
template <class T>
requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) constexpr dtype dtype_of() {
  if constexpr (std::is_floating_point_v<T>)
    return sizeof(T) == 8 ? dtype::f64 : dtype::f32;
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return dtype::u8;
  else {
    static_assert(std::is_signed_v<T>, "of the unsigned integers only bytes can be stored");
    return sizeof(T) == 8 ? dtype::i64 : sizeof(T) == 4 ? dtype::i32 : sizeof(T) == 2 ? dtype::i16 : dtype::i8;
  }
}

/// Refuses a tensor.
/// @throws io_error always, with file, offset and tensor
[[noreturn]] inline void refuse_tensor(const stored_tensor& tensor, const std::string& reason) {
  refuse_file(tensor.file, tensor.offset, "tensor " + in_quotes(tensor.name) + ": " + reason);
}

/// ", Q4_0, Q4_1, …" for messages.
inline std::string quantized_names() {
  std::string names;
  quantized_formats::each([&](auto format) { names += std::string(", ") + format.name; });
  return names;
}

/// Reads rows [from, from + count), without dequantizing the rest.
/// @param tensor shape (rows, ...), of a float or block type
/// @param from first row
/// @param count number of rows
/// @param out receives count · row_size elements, row-major
/// @throws io_error if it has no float or block type, @throws shape_error if there are no such rows or `out` has
/// another size
template <std::floating_point T>
void read_rows_into(const stored_tensor& tensor, index_t from, index_t count, std::type_identity_t<std::span<T>> out) {
  if (!tensor.type)
    refuse_tensor(tensor, "its type " + tensor.type_name + " is not supported; convert the file to one of F32" +
                              quantized_names());
  if (from < 0 || count < 0 || count > tensor.rows() - from)
    throw shape_error(tensor.file + ": tensor " + in_quotes(tensor.name) + ": there are no " + std::to_string(count) +
                      " rows from row " + std::to_string(from) + " in " + to_text(tensor.shape));
  const index_t elements = count * tensor.row_size();
  if (index_t(out.size()) != elements)
    throw shape_error(tensor.file + ": tensor " + in_quotes(tensor.name) + ": " + std::to_string(elements) +
                      " numbers cannot go into memory for " + std::to_string(out.size()));
  const block_layout layout = layout_of(*tensor.type);
  const index_t start = from * tensor.row_size();
  if (start % layout.elements != 0 || elements % layout.elements != 0)
    throw shape_error(tensor.file + ": tensor " + in_quotes(tensor.name) + ": these rows split a block of " +
                      std::to_string(layout.elements) + " elements");
  const std::byte* in = tensor.bytes.data() + start / layout.elements * layout.bytes;
  if (is_quantized(*tensor.type)) return quantized_rows{in, *tensor.type, elements}.dequantize<T>(0, out.data());
  if (*tensor.type == dtype::f64)
    for (T& x : out) x = T(load<double>(in)), in += sizeof(double);
  else if (*tensor.type == dtype::f32)
    for (T& x : out) x = T(load<float>(in)), in += sizeof(float);
  else
    refuse_tensor(tensor, "holds " + tensor.type_name + ", expected floating-point numbers");
}

/// Reads a whole tensor of a float or block type.
/// @param tensor any shape
/// @param out receives all elements, row-major
/// @throws io_error if it has no float or block type, @throws shape_error if `out` has another size
template <std::floating_point T>
void read_into(const stored_tensor& tensor, std::span<T> out) {
  read_rows_into<T>(tensor, 0, tensor.rows(), out);
}

/// Copies the bytes of a tensor whose stored type is exactly T, which may be an integer.
/// @throws io_error if the file has another type, @throws shape_error if `out` has another size
template <class T>
void copy_into(const stored_tensor& tensor, std::span<T> out) {
  if (tensor.type != dtype_of<T>())
    refuse_tensor(tensor, "holds " + tensor.type_name + ", expected " + std::string(name_of(dtype_of<T>())));
  if (index_t(out.size()) != tensor.size())
    throw shape_error(tensor.file + ": tensor " + in_quotes(tensor.name) + " has shape " + to_text(tensor.shape) +
                      ", memory has room for " + std::to_string(out.size()));
  if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), out.size_bytes());
}

}  // namespace iapt
