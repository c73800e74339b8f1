// SPDX-License-Identifier: Apache-2.0
// Text that knows, for each byte, who wrote it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace iapt::jinja {

/// Who wrote a byte.
enum class writer : std::uint8_t {
  program,  ///< the template, or the interpreter on its behalf: literals, numbers, quotes
  caller,   ///< who sent the conversation
  answer,   ///< who sent it, as what the model answered before
};

/// The mark of one byte.
struct mark {
  writer by = writer::program;  ///< who wrote it
  bool generated = false;       ///< whether it was printed inside of {% generation %}
  /// Whether both parts are equal.
  bool operator==(const mark&) const = default;
};

/// UTF-8 and one mark for each byte. Everything that makes a text of another copies the marks with the bytes, so that a
/// caller's byte never becomes a byte of the template.
class marked_text {
 public:
  /// The empty text.
  marked_text() = default;
  /// `bytes` (valid UTF-8), all with one mark.
  marked_text(std::string_view bytes, mark written) : bytes_(bytes), marks_(bytes.size(), written) {}

  /// The bytes.
  const std::string& bytes() const { return bytes_; }
  /// Their marks.
  const std::vector<mark>& marks() const { return marks_; }
  /// Number of bytes.
  std::size_t size() const { return bytes_.size(); }
  /// Whether there are none.
  bool empty() const { return bytes_.empty(); }

  /// Appends bytes with one mark.
  void append(std::string_view bytes, mark written) {
    bytes_ += bytes;
    marks_.resize(bytes_.size(), written);
  }
  /// Appends `size` bytes of another text, from `begin` on, with their marks.
  void append(const marked_text& other, std::size_t begin, std::size_t size) {
    const auto first = other.marks_.begin() + static_cast<std::ptrdiff_t>(begin);
    bytes_.append(other.bytes_, begin, size);
    marks_.insert(marks_.end(), first, first + static_cast<std::ptrdiff_t>(size));
  }
  /// Appends another text.
  void append(const marked_text& other) { append(other, 0, other.size()); }
  /// `size` bytes from `begin` on.
  marked_text substr(std::size_t begin, std::size_t size) const {
    marked_text part;
    part.append(*this, begin, size);
    return part;
  }
  /// Marks all bytes as generated.
  void set_generated() {
    for (mark& m : marks_) m.generated = true;
  }

 private:
  std::string bytes_;
  std::vector<mark> marks_;
};

}  // namespace iapt::jinja
