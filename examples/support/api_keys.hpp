// SPDX-License-Identifier: Apache-2.0
// Who may use which models.
#pragma once
#include <iapt/io/atomic_file.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

namespace program {

/// Keys of an interface, and the models that each may use. Without a file everybody may use all.
class api_keys {
 public:
  /// Models that may be used; all where there is no set.
  using grant = std::optional<std::set<std::string>>;

  /// Reads a file: a JSON object from keys to arrays of models, or to "*" for all. No file where the path is empty.
  /// @throws iapt::io_error if it is missing or says something else
  explicit api_keys(const std::string& path) : open_(path.empty()) {
    if (open_) return;
    const auto all = nlohmann::json::parse(iapt::read_text_file(path), nullptr, false);
    const auto refuse = [&] {
      throw iapt::io_error(path + R"(: must be a JSON object such as {"key": ["model", ...], "other key": "*"})");
    };
    if (!all.is_object()) refuse();
    for (const auto& [key, models] : all.items()) {
      grant& own = grants_[key];
      if (key.empty()) refuse();
      if (models == "*") continue;
      if (!models.is_array()) refuse();
      own.emplace();
      for (const auto& model : models) {
        if (!model.is_string()) refuse();
        own->insert(model.get<std::string>());
      }
    }
  }
  /// What the value of a header "Authorization" grants; null without a key that is known.
  const grant* find(const std::string& authorization) const {
    static const grant everything;
    if (open_) return &everything;
    const std::string scheme = "Bearer ";
    if (!authorization.starts_with(scheme)) return nullptr;
    const auto found = grants_.find(authorization.substr(scheme.size()));
    return found == grants_.end() ? nullptr : &found->second;
  }
  /// Whether a model may be used.
  static bool allows(const grant& granted, const std::string& model) { return !granted || granted->contains(model); }

 private:
  bool open_;
  std::map<std::string, grant> grants_;
};

}  // namespace program
