// SPDX-License-Identifier: Apache-2.0
// Mutations that know a format, so that they get past its first check: JSON is changed as a tree, safetensors by its
// header, files of several parts part by part. A target names one by IAPT_FUZZ_MUTATE(function).
#pragma once
#if defined(IAPT_FUZZ)
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "fuzz/support.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace iapt::fuzz {

/// Where mutations come from: libFuzzer's seed.
using random_source = std::minstd_rand;

/// A number from 0 to n − 1.
inline std::size_t below(random_source& random, std::size_t n) { return n ? random() % n : 0; }

/// What libFuzzer makes of bytes.
inline std::string mutate_bytes(std::string bytes, std::size_t room = 64) {
  const std::size_t size = bytes.size();
  bytes.resize(size + room);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
  return bytes;
}

/// All values of a document, and all keys.
inline void collect(nlohmann::json& value, std::vector<nlohmann::json*>& values, std::vector<std::string>& keys) {
  values.push_back(&value);
  if (value.is_object())
    for (const auto& [key, ignored] : value.items()) keys.push_back(key);
  if (value.is_structured())
    for (auto& child : value) collect(child, values, keys);
}

/// A value that readers may not expect.
inline nlohmann::json odd_value(random_source& random) {
  static const std::vector<nlohmann::json> odd{nullptr,
                                               true,
                                               false,
                                               0,
                                               1,
                                               -1,
                                               2,
                                               255,
                                               1 << 20,
                                               INT32_MAX,
                                               INT32_MIN,
                                               INT64_MAX,
                                               INT64_MIN,
                                               UINT64_MAX,
                                               0.5,
                                               -0.0,
                                               1e308,
                                               1e-308,
                                               "",
                                               "a",
                                               "\xC3\xA9",
                                               "../x",
                                               "<|im_end|>",
                                               std::string(300, 'x'),
                                               nlohmann::json::array(),
                                               nlohmann::json::object(),
                                               {0, 0},
                                               {1, "a"},
                                               {{"a", 1}}};
  return odd[below(random, odd.size())];
}

/// Changes one place of a document.
inline void mutate_tree(nlohmann::json& document, random_source& random) {
  std::vector<nlohmann::json*> values;
  std::vector<std::string> keys;
  collect(document, values, keys);
  nlohmann::json& at = *values[below(random, values.size())];
  const nlohmann::json other = *values[below(random, values.size())];  // a copy: it may hold `at`, or stand in it
  const auto some_key = [&] { return keys.empty() ? std::string("a") : keys[below(random, keys.size())]; };
  switch (below(random, 8)) {
    case 0:
      at = odd_value(random);
      break;
    case 1:
      at = other;
      break;
    case 2:
      if (at.is_array())
        at.insert(at.begin() + std::ptrdiff_t(below(random, at.size() + 1)), other);
      else if (at.is_object())
        at[below(random, 4) ? some_key() : mutate_bytes(some_key())] = other;
      break;
    case 3:
      if (at.is_array() && !at.empty()) at.erase(below(random, at.size()));
      if (at.is_object() && !at.empty()) at.erase(std::next(at.begin(), std::ptrdiff_t(below(random, at.size()))));
      break;
    case 4:
      if (at.is_array() && at.size() < 1000) {
        const nlohmann::json twice = at;
        at.insert(at.end(), twice.begin(), twice.end());
      }
      break;
    default:
      if (at.is_string())
        at = below(random, 4) ? mutate_bytes(at.get<std::string>()) : some_key();
      else if (at.is_number_integer())
        at = below(random, 2) ? std::int64_t(std::uint64_t(at.get<std::int64_t>()) + random() % 5 - 2)
                              : std::int64_t(std::uint64_t(at.get<std::int64_t>()) * (random() % 8));
      else if (at.is_number_float())
        at = at.get<double>() * double(std::int64_t(random() % 9) - 4);
      else
        at = odd_value(random);
  }
}

/// JSON as a tree, mostly; else its bytes.
inline std::string mutate_json(std::string text, random_source& random) {
  if (below(random, 8) == 0) return mutate_bytes(std::move(text));
  auto document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return mutate_bytes(std::move(text));
  for (std::size_t n = 0; n <= below(random, 3); ++n) mutate_tree(document, random);
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// JSON objects, one a line: one of them as a tree, or the order of lines.
inline std::string mutate_lines(std::string text, random_source& random) {
  std::vector<std::string> lines(1);
  for (char c : text)
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  std::string& line = lines[below(random, lines.size())];
  switch (below(random, 8)) {
    case 0:
      return mutate_bytes(std::move(text));
    case 1:
      line = lines[below(random, lines.size())];
      break;
    case 2:
      lines.push_back(line);
      break;
    default:
      line = mutate_json(line, random);
  }
  std::string joined;
  for (std::size_t i = 0; i < lines.size(); ++i) joined += (i ? "\n" : "") + lines[i];
  return joined;
}

/// A safetensors file: its header as a tree with the right length in front, or its numbers.
inline std::string mutate_safetensors(std::string file, random_source& random) {
  std::uint64_t length = 0;
  if (file.size() < 8 || below(random, 8) == 0) return mutate_bytes(std::move(file));
  std::memcpy(&length, file.data(), 8);
  if (length > file.size() - 8) return mutate_bytes(std::move(file));
  std::string header = file.substr(8, length), numbers = file.substr(8 + length);
  if (below(random, 4))
    header = mutate_json(std::move(header), random);
  else
    numbers = mutate_bytes(std::move(numbers));
  length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + numbers;
}

/// Several files, one of them JSON and one safetensors: one of the two.
inline std::string mutate_folder(std::string input, random_source& random) {
  const auto views = parts_of(input);
  std::vector<std::string> parts(views.begin(), views.end());
  parts.resize(2);
  if (below(random, 2))
    parts[0] = mutate_json(std::move(parts[0]), random);
  else
    parts[1] = mutate_safetensors(std::move(parts[1]), random);
  std::string joined;
  for (const std::string& part : parts) {
    const auto length = std::uint32_t(part.size());
    joined.append(reinterpret_cast<const char*>(&length), 4).append(part);
  }
  return joined;
}

/// Puts a mutation in the place of libFuzzer's own.
inline std::size_t mutate_with(std::string (*mutate)(std::string, random_source&), std::uint8_t* data, std::size_t size,
                               std::size_t most, unsigned seed) {
  random_source random(seed);
  const std::string changed = mutate(std::string(text_of(data, size)), random);
  if (changed.empty() || changed.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::copy(changed.begin(), changed.end(), data);
  return changed.size();
}

}  // namespace iapt::fuzz

#define IAPT_FUZZ_MUTATE(function)                                                                       \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, \
                                                 unsigned seed) {                                        \
    return iapt::fuzz::mutate_with(function, data, size, most, seed);                                    \
  }                                                                                                      \
  static_assert(true, "a semicolon follows")
#else
#define IAPT_FUZZ_MUTATE(function) static_assert(true, "a semicolon follows")
#endif
