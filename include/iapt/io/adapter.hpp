// SPDX-License-Identifier: Apache-2.0
// Adapter folders: adapter_config.json and the adapter's tensors, in our own format or in that of Hugging Face's PEFT.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "iapt/core/version.hpp"
#include "iapt/io/atomic_file.hpp"
#include "iapt/io/atomic_folder.hpp"
#include "iapt/io/load_causal_lm.hpp"
#include "iapt/io/method_options.hpp"
#include "iapt/io/named_tensors.hpp"
#include "iapt/peft/known_methods.hpp"

namespace iapt {

/// The files in an adapter's folder: the configuration, and tensors in our format or in PEFT's.
inline constexpr std::array adapter_files{"adapter_config.json", "adapter.safetensors", "adapter_model.safetensors"};

/// Whether PEFT has the method too; its adapters are then in PEFT's format.
template <class Method>
concept known_to_peft = requires {
  Method::peft_type;
};

/// The folder that has an adapter, if there is one: `folder` itself, or `best` or `last` of a run in it.
inline std::optional<std::filesystem::path> find_adapter(const std::filesystem::path& folder) {
  for (const std::filesystem::path& inside : {folder, folder / "best", folder / "last"})
    if (auto found = find_folder(inside, adapter_files[0])) return found;
  return {};
}
/// The same, but there must be one.
/// @throws io_error if there is none
inline std::filesystem::path adapter_folder(const std::filesystem::path& folder) {
  if (auto found = find_adapter(folder)) return *std::move(found);
  throw io_error(folder.string() + ": there is no adapter: neither adapter_config.json nor best/adapter_config.json");
}

/// An opened adapter folder. Its files are not trusted: all that is read is checked.
class adapter_reader {
 public:
  /// Reads the configuration and the sizes of the tensors.
  /// @throws io_error if a file is missing or damaged
  explicit adapter_reader(const std::filesystem::path& path)
      : folder_(complete_folder(path, adapter_files[0])),
        config_(open_config(folder_ / "adapter_config.json")),
        peft_(config_.has("peft_type")),
        method_(config_.get<std::string>(peft_ ? "peft_type" : "method")),
        size_(measure(folder_, peft_)) {}

  /// Number of elements of all tensors; no more than these are ever read.
  std::uint64_t numbers() const { return size_.numbers; }

  /// The method's name, in our format or in PEFT's.
  const std::string& method() const { return method_; }
  /// The configuration's path, for messages.
  const std::string& place() const { return config_.file(); }
  /// Whether it is an adapter of this method, whatever its fixed options are.
  template <class Method>
  bool is_of() const {
    if constexpr (known_to_peft<Method>)
      return peft_ && method_ == Method::peft_type;
    else
      return !peft_ && method_ == Method::name;
  }
  /// Whether it is an adapter of this method with the same fixed options.
  template <class Method>
  bool holds() const {
    if (!is_of<Method>()) return false;
    bool same = true;
    each_fixed<Method>([&](const fixed_option& o) { same = same && config_.get<std::string>(o.key) == o.value; });
    return same;
  }
  /// Reads the method, for a base model.
  /// @throws io_error if it belongs to another base model, is of another method or type, needs what this library does
  /// not have, or its tensors do not fit
  template <class Method, class S, class Backend>
  Method read(const language_model<S, Backend>& lm) const {
    if (!holds<Method>()) refuse_type<Method>();
    open_tensors();
    require_backbone(lm);
    try {
      const auto options = read_options<typename Method::options_type>(config_);
      if constexpr (known_to_peft<Method>) refuse_unknown_settings<Method>();
      Method method = Method::read(lm, options, *this);
      for (const stored_tensor& t : tensors().all())
        if (!used_.contains(t.name))
          refuse_tensor(t, "does not belong to the method and model that adapter_config.json tells of");
      return method;
    } catch (const io_error&) { throw; } catch (const error& failure) {
      throw io_error(place() + ": " + failure.what());
    }
  }

  /// Whether it has a tensor.
  bool has(const std::string& name) const { return tensors().find(name); }
  /// The number of rows of a matrix, at least 1.
  /// @throws io_error if there is no such matrix
  index_t rows(const std::string& name) const {
    const stored_tensor* found = tensors().find(name);
    if (!found || found->shape.size() != 2 || found->shape[0] < 1)
      throw io_error(tensors_->name() + ": there is no matrix \"" + name + "\"");
    return found->shape[0];
  }
  /// Refuses the configuration if there is no tensor of this name and shape.
  /// @throws io_error then
  void require(const std::string& name, const std::vector<index_t>& shape) const {
    const stored_tensor* found = tensors().find(name);
    if (!found || found->shape != shape)
      throw io_error(place() + ": its sizes ask for a tensor \"" + name + "\" of shape " + to_text(shape) +
                     ", which is not in " + tensors_->name());
  }
  /// The elements of a tensor.
  /// @throws io_error if it is missing or has another shape
  template <class T>
  std::vector<T> read(const std::string& name, const std::vector<index_t>& shape) const {
    used_.insert(name);
    return read_stored<T>(*tensors_, name, shape);
  }

 private:
  static config_json open_config(const std::filesystem::path& path) {
    return config_json::parse(read_text_file(path, longest_configuration), path.string());
  }
  static std::filesystem::path tensor_file(const std::filesystem::path& folder, bool peft) {
    return folder / (peft ? "adapter_model.safetensors" : "adapter.safetensors");
  }
  static safetensors_file::outline measure(const std::filesystem::path& folder, bool peft) {
    const std::filesystem::path file = tensor_file(folder, peft);
    std::error_code none;
    if (peft && !std::filesystem::exists(file, none) && std::filesystem::exists(folder / "adapter_model.bin", none))
      throw io_error((folder / "adapter_model.bin").string() +
                     ": is a Python pickle, which may run any code; save the adapter again as safetensors");
    constexpr std::uint64_t longest_header = 16 << 20, longest_number = sizeof(double);
    const auto found = safetensors_file::measure(file, longest_header);
    if (found.length > longest_header && (found.length - longest_header) / longest_number > found.numbers)
      throw io_error(file.string() + ": has " + std::to_string(found.length) + " bytes for " +
                     std::to_string(found.numbers) + " numbers, more than they take");
    return found;
  }
  // Reads at most as many bytes as the file had when it was measured.
  void open_tensors() const {
    tensors_ = safetensors_file::open(tensor_file(folder_, peft_), file_bytes::copied, size_.length);
    used_.clear();
  }
  const tensor_table& tensors() const { return tensors_->tensors(); }
  // The fingerprint of its base model; PEFT's own files have none.
  std::optional<std::string> backbone() const {
    if (!peft_) return config_.get<std::string>("backbone");
    const auto found = tensors_->metadata().find("iapt.backbone");
    if (found == tensors_->metadata().end()) return {};
    return found->second;
  }
  template <class S, class Backend>
  void require_backbone(const language_model<S, Backend>& lm) const {
    const std::optional<std::string> made_for = backbone();
    if (!made_for) return;
    const fingerprint_kind kind = kind_of_fingerprint(*made_for);
    if (kind == fingerprint_kind::unknown)
      throw io_error(place() + ": the fingerprint of the adapter's backbone is " + in_quotes(*made_for) +
                     ", which this version of the library cannot compare; was it made by a newer one?");
    if (const std::string found = lm.fingerprint(kind); *made_for != found)
      throw io_error(place() + ": the adapter was made for another backbone (" + in_quotes(*made_for) + "), not for " +
                     lm.place() + " (" + found + ")");
    if (kind != fingerprint_kind::every_tensor)
      lm.warn(place() +
              ": the adapter tells its backbone by a fingerprint of version 0.1, which looks at some of the "
              "weights alone; make sure that it is the right one");
  }
  template <class Method>
  [[noreturn]] void refuse_type() const {
    std::string types;
    each_fixed<Method>([&](const fixed_option& o) { types += std::string(", ") + o.key + " \"" + o.value + "\""; });
    throw io_error(place() + ": is of the method " + in_quotes(method_) + ", not " + Method::name + types +
                   "; this program lacks what it is of");
  }
  // A configuration of PEFT has a key for every feature of PEFT. A key would change the results unless it is an option
  // of ours, is off, or is known to be harmless.
  template <class Method>
  void refuse_unknown_settings() const {
    std::set<std::string> known{"peft_type", "task_type",   "base_model_name_or_path", "auto_mapping", "inference_mode",
                                "revision",  "peft_version"};
    const typename Method::options_type options{};
    Method::options_type::visit(options, [&](const option& o, const auto&) { known.insert(o.key); });
    for (const auto& [key, value] : config_.values().items()) {
      const bool off = value.is_null() || value == false || (value.is_structured() && value.empty());
      bool harmless = off || known.contains(key);
      for (const known_setting& s : Method::harmless)
        harmless = harmless || (s.key == key && (s.value.empty() || s.value == value.dump()));
      if (!harmless)
        throw io_error(place() + ": " + in_quotes(key) + " is " + in_quotes(value.dump()) +
                       ", which this library does not have; the adapter would be computed wrongly");
    }
  }

  std::filesystem::path folder_;
  config_json config_;
  bool peft_;
  std::string method_;
  safetensors_file::outline size_;
  mutable std::optional<safetensors_file> tensors_;  // while a method is read
  mutable std::set<std::string> used_;               // tensors that were read
};

/// Reads an adapter of a method that is known at compile time.
/// @throws io_error as adapter_reader::read does
template <class Method, class S, class Backend>
Method load_adapter(const language_model<S, Backend>& lm, const std::filesystem::path& path) {
  return adapter_reader(path).template read<Method>(lm);
}
/// Reads an adapter of any known method, and calls f(method).
/// @throws io_error as adapter_reader::read, or with the method's name if it is not known
template <class S, class Backend, class F>
auto with_adapter(const language_model<S, Backend>& lm, const adapter_reader& reader, F f) {
  using methods = known_methods<compute_type<S>, Backend>;
  return methods::first([&]<class Method>(std::type_identity<Method>) { return reader.holds<Method>(); },
                        [&]<class Method>(std::type_identity<Method>) { return f(reader.read<Method>(lm)); },
                        [&] {
                          std::set<std::string> names;
                          methods::each([&]<class Method>(std::type_identity<Method>) {
                            if (reader.is_of<Method>()) reader.read<Method>(lm);  // throws what is missing
                            names.insert(Method::name);
                          });
                          std::string known;
                          for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
                          throw io_error(reader.place() + ": the method " + in_quotes(reader.method()) +
                                         " is not known to this program; it knows " + known);
                        });
}
/// The same for a folder.
/// @throws io_error as above
template <class S, class Backend, class F>
auto with_adapter(const language_model<S, Backend>& lm, const std::filesystem::path& path, F f) {
  return with_adapter(lm, adapter_reader(path), f);
}

/// Writes an adapter folder atomically: it has the old adapter or the new one, never a part. Other files in the folder
/// stay.
/// @throws io_error if the system refuses, or the folder has files but no adapter
template <class Method, class S, class Backend>
void save_adapter(Method& method, const language_model<S, Backend>& lm, const std::filesystem::path& path) {
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  atomic_folder folder(path, adapter_files);
  nlohmann::ordered_json json;
  tensor_file_writer<typename Method::value_type> tensors;
  method.store(tensors);
  if constexpr (known_to_peft<Method>) {
    tensors.write(folder.partial() / "adapter_model.safetensors",
                  {{"format", "pt"}, {"iapt.backbone", lm.fingerprint()}, {"iapt.version", library_version}});
    json = {{"peft_type", Method::peft_type},
            {"task_type", "CAUSAL_LM"},
            {"base_model_name_or_path", lm.place()},
            {"inference_mode", true}};
  } else {
    tensors.write(folder.partial() / "adapter.safetensors", {{"format", "pt"}});
    json = {{"method", Method::name}, {"library_version", library_version}, {"backbone", lm.fingerprint()}};
  }
  each_fixed<Method>([&](const fixed_option& o) { json[o.key] = o.value; });
  Method::options_type::visit(method.options, [&](const option& o, const auto& value) {
    if (*o.key) json[o.key] = to_json(value);
  });
  // A path need not be UTF-8, but JSON must be. The path is only shown to readers.
  write_text_file(folder.partial() / "adapter_config.json",
                  json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  folder.commit();
}

}  // namespace iapt
