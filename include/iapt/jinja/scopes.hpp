// SPDX-License-Identifier: Apache-2.0
// Which names a scope of a template owns. Jinja2 decides that when it compiles, so it is found out while parsing.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "iapt/jinja/ast.hpp"

namespace iapt::jinja::detail {

// The scopes of a template. A name that a scope assigns before it reads it, and that no scope around it mentions, is
// that scope's own from its begin: until it is assigned it is undefined, even if the host gave a variable of that name.
class scopes {
 public:
  // Opens a scope in the current one. What it owns is known when all is parsed.
  local_names open() {
    all_.push_back(std::make_unique<scope>(scope{current_}));
    current_ = all_.back().get();
    return current_->own;
  }
  void close() { current_ = current_->around; }
  void load(const std::string& name) { current_->mentioned.insert(name); }
  void store(const std::string& name) {
    if (current_->mentioned.insert(name).second && current_->conditions == 0) current_->own->push_back(name);
  }
  void store(const target& to) {
    for (const target& item : to.items) store(item);
    if (to.is_tuple) return;
    if (to.attribute.empty())
      store(to.name);
    else
      load(to.name);
  }
  // What a condition may leave out is not owned.
  void begin_condition() { ++current_->conditions; }
  void end_condition() { --current_->conditions; }
  // All is parsed: names that a scope around mentions are not owned.
  void finish() {
    for (const auto& s : all_)
      std::erase_if(*s->own, [&](const std::string& name) {
        for (const scope* a = s->around; a; a = a->around)
          if (a->mentioned.contains(name)) return true;
        return false;
      });
  }

 private:
  struct scope {
    scope* around;
    std::set<std::string> mentioned = {};
    std::shared_ptr<std::vector<std::string>> own = std::make_shared<std::vector<std::string>>();
    int conditions = 0;
  };
  std::vector<std::unique_ptr<scope>> all_;
  scope* current_ = nullptr;
};

}  // namespace iapt::jinja::detail
