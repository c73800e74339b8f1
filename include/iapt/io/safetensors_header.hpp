// SPDX-License-Identifier: Apache-2.0
// Reads the JSON header of a safetensors file, event by event: it accepts only the forms of the format.
#pragma once
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/io/failure.hpp"

namespace iapt {

/// The header's entry of one tensor, not yet compared with the file.
struct safetensors_entry {
  std::string name;                              ///< the tensor's name
  std::uint64_t position = 0;                    ///< offset in the file, after the name, for messages
  std::string type = {};                         ///< type, such as "F32"
  std::vector<std::uint64_t> shape = {};         ///< outermost first
  std::vector<std::uint64_t> data_offsets = {};  ///< first byte and one past the last, from the end of the header
  bool has_type = false;                         ///< whether "dtype" was there
  bool has_shape = false;                        ///< whether "shape" was there
  bool has_offsets = false;                      ///< whether "data_offsets" was there
};

/// The content of the header.
struct safetensors_header {
  std::vector<safetensors_entry> tensors = {};       ///< in the header's order
  std::map<std::string, std::string> metadata = {};  ///< `__metadata__`
};

/// Receives the events of nlohmann-json's parser. It builds no tree, so it takes only memory for the texts and numbers
/// of the header, finds keys that are given twice, and accepts no deeper nesting than the format's.
class safetensors_events {
 public:
  /// Iterates over the header's bytes and tells how far the parser has read.
  class cursor {
   public:
    using value_type = char;                            ///< a byte
    using difference_type = std::ptrdiff_t;             ///< iterator trait
    using pointer = const char*;                        ///< iterator trait
    using reference = const char&;                      ///< iterator trait
    using iterator_category = std::input_iterator_tag;  ///< iterator trait

    cursor(const char* at, const char*& reached) : at_(at), reached_(&reached) {}                  ///< starts at a byte
    reference operator*() const { return *at_; }                                                   ///< the byte
    cursor& operator++() { return *reached_ = ++at_, *this; }                                      ///< next byte
    cursor operator++(int) { return std::exchange(*this, cursor(at_ + 1, *reached_ = at_ + 1)); }  ///< next byte
    friend bool operator==(const cursor& a, const cursor& b) { return a.at_ == b.at_; }            ///< same byte
    friend bool operator!=(const cursor& a, const cursor& b) { return a.at_ != b.at_; }            ///< different bytes

   private:
    const char* at_;
    const char** reached_;
  };

  /// Reads a header.
  /// @param json text of the header
  /// @param file name of the file, for messages
  /// @param start offset of the text in the file, for messages
  /// @throws io_error if it is not JSON or not in the format
  static safetensors_header read(std::string_view json, const std::string& file, std::uint64_t start) {
    const char* reached = json.data();
    safetensors_events events(file, start, json.data(), reached);
    const bool complete =
        nlohmann::json::sax_parse(cursor(json.data(), reached), cursor(json.data() + json.size(), reached), &events);
    if (!complete || reached != json.data() + json.size())  // the parser treats a zero byte as the end
      events.refuse("the header's text ends here, before its last byte");
    return std::move(events.header_);
  }

  // The events, with the names of nlohmann-json. None returns false; they throw.

  /// Refused: not in the format.
  bool null() { refuse("unexpected null"); }
  /// Refused: not in the format.
  bool boolean(bool) { refuse("unexpected true or false"); }
  /// Refused: the format has no negative numbers.
  bool number_integer(std::int64_t) { refuse("unexpected negative number"); }
  /// Refused: a fraction, an exponent, or too many digits.
  bool number_float(double, const std::string&) { refuse("unexpected number, expected a whole one below 2^64"); }
  /// Refused: JSON has no binary values, but nlohmann-json requires the function.
  template <class Binary>
  bool binary(Binary&) {
    refuse("unexpected binary value");
  }
  /// An extent or an offset.
  bool number_unsigned(std::uint64_t value) {
    if (!numbers_) refuse("unexpected number");
    if (field_ == "data_offsets" && numbers_->size() == 2) refuse("\"data_offsets\" has more than two numbers");
    numbers_->push_back(value);
    return true;
  }
  /// A type, or a value of the metadata.
  bool string(std::string& value) {
    if (depth_ != 2 || numbers_) refuse("unexpected string " + in_quotes(value));
    if (in_metadata_)
      header_.metadata[field_] = std::move(value);
    else if (field_ == "dtype")
      tensor().type = std::move(value);
    else
      refuse("unexpected string " + in_quotes(value));
    return true;
  }
  /// Start of the header, a tensor, or the metadata.
  bool start_object(std::size_t) {
    if (++depth_ > 2 || numbers_) refuse("unexpected object");
    return true;
  }
  /// The name of a tensor or of one of its fields.
  bool key(std::string& name) {
    if (depth_ == 1) {
      in_metadata_ = name == "__metadata__";
      if (!names_.insert(name).second) refuse("the name " + in_quotes(name) + " comes twice");
      if (!in_metadata_) header_.tensors.push_back({.name = name, .position = position()});
    } else if (in_metadata_) {
      if (header_.metadata.contains(name)) refuse("the key " + in_quotes(name) + " comes twice");
    } else {
      bool* seen = name == "dtype"          ? &tensor().has_type
                   : name == "shape"        ? &tensor().has_shape
                   : name == "data_offsets" ? &tensor().has_offsets
                                            : nullptr;
      if (!seen) refuse("unknown key " + in_quotes(name) + " of tensor " + in_quotes(tensor().name));
      if (std::exchange(*seen, true)) refuse("the key " + in_quotes(name) + " comes twice");
    }
    field_ = std::move(name);
    return true;
  }
  /// End of a tensor, the metadata, or the header.
  bool end_object() {
    if (--depth_ == 1 && !in_metadata_) {
      const safetensors_entry& one = tensor();
      if (!one.has_type || !one.has_shape || one.data_offsets.size() != 2)
        refuse("tensor " + in_quotes(one.name) + " lacks one of \"dtype\", \"shape\", \"data_offsets\"");
    }
    return true;
  }
  /// Start of a shape or of offsets.
  bool start_array(std::size_t) {
    if (depth_ != 2 || in_metadata_ || numbers_ || field_ == "dtype") refuse("unexpected array");
    numbers_ = field_ == "shape" ? &tensor().shape : &tensor().data_offsets;
    return true;
  }
  /// End of a shape or of offsets.
  bool end_array() { return numbers_ = nullptr, true; }
  /// Refused: the text is not JSON.
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& failure) {
    refuse(std::string("the header is not valid JSON: ") + failure.what());
  }

 private:
  safetensors_events(const std::string& file, std::uint64_t start, const char* text, const char*& reached)
      : file_(file), start_(start), text_(text), reached_(reached) {}

  // After a number the parser has read one byte more; otherwise this is just after what it has read.
  std::uint64_t position() const { return start_ + static_cast<std::uint64_t>(reached_ - text_); }
  [[noreturn]] void refuse(const std::string& reason) const { refuse_file(file_, position(), reason); }
  safetensors_entry& tensor() { return header_.tensors.back(); }

  const std::string& file_;
  std::uint64_t start_;
  const char* text_;
  const char* const& reached_;
  safetensors_header header_;
  std::set<std::string> names_;
  int depth_ = 0;
  bool in_metadata_ = false;
  std::string field_;
  std::vector<std::uint64_t>* numbers_ = nullptr;
};

}  // namespace iapt
