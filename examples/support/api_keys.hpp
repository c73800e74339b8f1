// SPDX-License-Identifier: Apache-2.0
// API keys, and the models that each may use.
#pragma once
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iapt/io/mapped_file.hpp>
#include <iapt/text/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace program {

/// The API keys of a server, and the models that each may use. Without a file everybody is the same client and may use
/// all models. Memory contains only SHA-256 digests. All of them are compared, each in constant time, so the time of an
/// answer reveals nothing about a key.
class api_keys {
 public:
  /// The owner of a key.
  struct client {
    std::uint64_t id = 0;                              ///< unique for each key
    std::optional<std::set<std::string>> models = {};  ///< models that it may use; without a set, all
  };

  /// Reads a JSON object that maps keys to arrays of models, or to "*" for all models. A key of "sha256:" and 64
  /// hexadecimal digits stands for the key with this digest.
  /// @param path the file; empty: no file
  /// @throws iapt::io_error if the file is missing or has other contents
  explicit api_keys(const std::string& path) : open_(path.empty()) {
    if (open_) return;
    if (sodium_init() < 0) throw iapt::io_error("libsodium cannot be used here");
    const auto all = iapt::parse_json(iapt::read_text_file(path), path, "the list of API keys");
    const auto need = [&](bool good, const std::string& what) {
      if (!good) throw iapt::io_error(path + ": " + what);
    };
    need(all.is_object(), R"(must be a JSON object such as {"key": ["model", ...], "other key": "*"})");
    for (const auto& [key, models] : all.items()) {
      // A key is a secret, so messages name its index instead.
      const std::string which = "key " + std::to_string(clients_.size() + 1);
      need(!key.empty(), which + " is empty");
      const auto stored = digest_of_entry(key);
      need(stored.has_value(), which + R"( must have 64 hexadecimal digits behind "sha256:")");
      need(!find(*stored), which + " is there twice, plain or as a digest");
      client own{clients_.size() + 1};
      if (models != "*") {
        need(models.is_array(), which + R"( must have an array of models, or "*")");
        own.models.emplace();
        for (const auto& model : models) {
          need(model.is_string(), which + " has a model that is not a string");
          own.models->insert(model.get<std::string>());
        }
      }
      clients_.push_back({*stored, std::move(own)});
    }
  }
  /// The client whose key is in the value of an "Authorization" field; null if the key is unknown or missing.
  const client* find(std::string_view authorization) const {
    static const client everybody;
    if (open_) return &everybody;
    constexpr std::string_view scheme = "bearer";
    const std::size_t end = authorization.find(' ');
    if (end != scheme.size() || !std::equal(scheme.begin(), scheme.end(), authorization.begin(),
                                            [](char wanted, char c) { return wanted == (c | 0x20); }))
      return nullptr;
    const std::size_t key = authorization.find_first_not_of(' ', end);
    return key == std::string_view::npos ? nullptr : find(digest_of(authorization.substr(key)));
  }
  /// Number of keys.
  std::size_t size() const { return clients_.size(); }
  /// Whether a client may use a model.
  static bool allows(const client& who, const std::string& model) { return !who.models || who.models->contains(model); }

 private:
  using digest = std::array<unsigned char, crypto_hash_sha256_BYTES>;
  struct entry {
    digest key;
    client who;
  };

  static digest digest_of(std::string_view key) {
    digest found;
    crypto_hash_sha256(found.data(), reinterpret_cast<const unsigned char*>(key.data()), key.size());
    return found;
  }
  // The digest of a key in the file; none if it is an invalid "sha256:" digest.
  static std::optional<digest> digest_of_entry(std::string_view key) {
    constexpr std::string_view mark = "sha256:";
    if (!key.starts_with(mark)) return digest_of(key);
    key.remove_prefix(mark.size());
    digest found;
    std::size_t size = 0;
    const bool all = key.size() == 2 * found.size() &&
                     sodium_hex2bin(found.data(), found.size(), key.data(), key.size(), nullptr, &size, nullptr) == 0;
    return all && size == found.size() ? std::optional(found) : std::nullopt;
  }
  const client* find(const digest& wanted) const {
    const client* found = nullptr;
    for (const entry& one : clients_)
      if (sodium_memcmp(one.key.data(), wanted.data(), wanted.size()) == 0) found = &one.who;
    return found;
  }

  bool open_;
  std::vector<entry> clients_;
};

}  // namespace program
