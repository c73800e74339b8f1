// SPDX-License-Identifier: Apache-2.0
// Adapter folders: adapter_config.json and adapter.safetensors.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "iapt/io/atomic_file.hpp"
#include "iapt/io/atomic_folder.hpp"
#include "iapt/io/load_causal_lm.hpp"
#include "iapt/io/named_tensors.hpp"
#include "iapt/peft/iapt/initialise.hpp"

namespace iapt {

/// Version of the library that writes adapters.
inline constexpr const char* library_version = "0.1.0";

/// What adapter_config.json says.
struct adapter_description {
  std::string file;        ///< its path, for messages
  std::string method;      ///< "iapt"
  std::string backbone;    ///< fingerprint of the backbone it was trained on
  std::string input;       ///< which states its generators read
  std::string pooler;      ///< their pooler
  std::string activation;  ///< their activation
  std::string output;      ///< their output space
  iapt_options options;    ///< sizes, placement, sharing
};

/// The folder that holds an adapter: the one named, or the best of a run that was saved there.
/// @throws io_error if there is none
inline std::filesystem::path adapter_folder(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "adapter_config.json")) return folder;
  for (const char* inside : {"best", "last"})
    if (std::filesystem::exists(folder / inside / "adapter_config.json")) return folder / inside;
  throw io_error(folder.string() + ": there is no adapter: neither adapter_config.json nor best/adapter_config.json");
}

/// Reads adapter_config.json.
/// @throws io_error if it is missing, damaged, or of a method that this library does not know
inline adapter_description read_adapter_description(const std::filesystem::path& folder) {
  const auto path = folder / "adapter_config.json";
  const config_json json = config_json::parse(read_text_file(path), path.string());
  adapter_description d;
  d.file = path.string();
  d.method = json.get<std::string>("method");
  if (d.method != "iapt")
    throw io_error(d.file + ": the method " + in_quotes(d.method) + " is not known to this program; it knows iapt");
  d.backbone = json.get<std::string>("backbone");
  d.input = json.get<std::string>("input"), d.pooler = json.get<std::string>("pooler");
  d.activation = json.get<std::string>("activation"), d.output = json.get<std::string>("output");
  d.options.soft_tokens = json.get<extent>("soft_tokens");
  d.options.bottleneck = json.get<extent>("bottleneck");
  d.options.share = json.get<extent>("share");
  const auto where = json.get<std::string>("placement");
  if (where != "front" && where != "late")
    throw io_error(d.file + ": \"placement\" is \"" + where + "\"; expected front or late");
  d.options.where = where == "late" ? placement::late : placement::front;
  d.options.start = prompt_start::random;  // everything is in the file
  try {
    d.options.check();
  } catch (const shape_error& failure) { throw io_error(d.file + ": " + failure.what()); }
  return d;
}

/// Whether an adapter's generators are of this type.
template <class Generator>
bool is_of(const adapter_description& d) {
  return d.input == Generator::input_name && d.pooler == Generator::pooler_name &&
         d.activation == Generator::activation_name && d.output == Generator::output_name;
}

/// Writes an adapter folder, atomically: the old one or the new one is there, never a part.
/// @throws io_error if the system refuses, or the folder holds something else
template <class Generator>
void save_adapter(iapt_method<Generator>& method, const std::string& backbone, const std::filesystem::path& path) {
  using T = typename Generator::value_type;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  require_replaceable(path, "adapter_config.json");
  atomic_folder folder(path);
  tensor_file_writer<T> tensors;
  method.visit([&](const std::string& name, const auto& x, tensor_role) { tensors.add(name, x); });
  tensors.write(folder.partial() / "adapter.safetensors", {{"format", "pt"}});
  const nlohmann::ordered_json json{{"method", "iapt"},
                                    {"library_version", library_version},
                                    {"backbone", backbone},
                                    {"placement", method.options.where == placement::late ? "late" : "front"},
                                    {"soft_tokens", method.options.soft_tokens},
                                    {"bottleneck", method.options.bottleneck},
                                    {"share", method.options.share},
                                    {"input", Generator::input_name},
                                    {"pooler", Generator::pooler_name},
                                    {"activation", Generator::activation_name},
                                    {"output", Generator::output_name}};
  write_text_file(folder.partial() / "adapter_config.json", json.dump(2) + "\n");
  folder.commit();
}

/// Reads an adapter for a backbone.
/// @throws io_error if it was made for another backbone, is of other types, or its tensors do not fit
template <class Generator, class T, class Backend>
iapt_method<Generator> load_adapter(const language_model<T, Backend>& lm, const std::filesystem::path& path) {
  const auto folder = complete_folder(path);
  const adapter_description d = read_adapter_description(folder);
  if (!is_of<Generator>(d))
    throw io_error(d.file + ": this program lacks the types input \"" + d.input + "\", pooler \"" + d.pooler +
                   "\", activation \"" + d.activation + "\", output \"" + d.output + "\" together");
  if (d.backbone != lm.fingerprint())
    throw io_error(d.file + ": the adapter was made for another backbone (" + d.backbone + "), not for " + lm.place() +
                   " (" + lm.fingerprint() + ")");
  const auto file = safetensors_file::open(folder / "adapter.safetensors");
  iapt_options options = d.options;
  // The sizes say how much memory is taken, so the file must bear them out first.
  const stored_tensor* down = file.tensors().find("layers.0.down");
  if (!down || down->shape != std::vector<extent>{lm.config.hidden, options.bottleneck})
    throw io_error(d.file + ": \"bottleneck\" is " + std::to_string(options.bottleneck) +
                   ", but adapter.safetensors has no tensor \"layers.0.down\" of shape " +
                   to_text(extents<2>{lm.config.hidden, options.bottleneck}));
  if (file.tensors().find("layers.0.base")) {  // make room for it; the numbers come from the file
    options.start = prompt_start::text;
    options.start_text.assign(options.soft_tokens, 0);
  }
  auto method = make_iapt<Generator>(lm, options);
  std::size_t read = 0;
  method.visit([&](const std::string& name, auto& x, tensor_role) {
    upload(x, read_stored<typename Generator::value_type>(file, name, {x.shape().begin(), x.shape().end()}));
    ++read;
  });
  if (read != file.tensors().all().size())
    throw io_error(file.name() + ": has " + std::to_string(file.tensors().all().size()) + " tensors where " +
                   std::to_string(read) + " are expected; adapter_config.json is not that of these tensors");
  return method;
}

}  // namespace iapt
